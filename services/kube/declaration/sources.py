"""Users' files as the services take them: baselines and rules, read again when they change, last good kept."""

from collections.abc import Callable

from services.kube.declaration.baselines import load_baselines, watched_paths
from services.kube.declaration.declared import DeclaredSource
from services.kube.declaration.unchosen import ONLY_OBSERVED, unchosen_state
from services.runtime.errors import SetpointError
from services.runtime.lastgood import LastGood
from services.runtime.logging import get_log
from services.runtime.rulefiles import load_rules, rule_paths
from services.runtime.rules import Judge, Written
from services.runtime.settings import Settings


def declared_source(settings: Settings) -> DeclaredSource:
    """From the files that are named; where none are, from what the cluster itself declares, and only to observe.

    Raises UserFileError where the files are wrong now.
    """
    path = settings.baselines
    if path is None:
        return DeclaredSource(LastGood(tuple, unchosen_state), ONLY_OBSERVED)
    return DeclaredSource(LastGood(lambda: watched_paths(path), lambda: load_baselines(path)))


def rule_source(settings: Settings, judge: Judge) -> Callable[[], Written]:
    """The policies, windows and groups as of now, the last that `judge` had nothing against; none where no files are
    named, which means observe everything.

    Raises UserFileError where the files are wrong now; later on it says so in the log, once for each state of them.
    """
    if settings.policies is None:
        return Written
    path = settings.policies
    files: LastGood[Written] = LastGood(lambda: rule_paths(path), lambda: load_rules(path, judge))
    log = get_log("rules")
    told: SetpointError | None = None

    def current() -> Written:
        nonlocal told
        files.refresh()
        if files.problem is not told:
            told = files.problem
            if told is not None:
                log.warning("the rules of before stay in force", error=str(told))
        return files.value

    return current
