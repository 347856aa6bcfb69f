"""Users' files as the services take them: baselines and policies, read again when they change, last good kept."""

from collections.abc import Callable

from schemas.policy import Policy
from services.kube.declaration.baselines import load_baselines, watched_paths
from services.kube.declaration.declared import DeclaredSource
from services.kube.declaration.unchosen import ONLY_OBSERVED, unchosen_state
from services.runtime.lastgood import LastGood
from services.runtime.settings import Settings
from services.runtime.userfiles import load_policies


def declared_source(settings: Settings) -> DeclaredSource:
    """From the files that are named; where none are, from what the cluster itself declares, and only to observe.

    Raises UserFileError where the files are wrong now.
    """
    path = settings.baselines
    if path is None:
        return DeclaredSource(LastGood(tuple, unchosen_state), ONLY_OBSERVED)
    return DeclaredSource(LastGood(lambda: watched_paths(path), lambda: load_baselines(path)))


def policy_source(settings: Settings) -> Callable[[], tuple[Policy, ...]]:
    """The policies as of now; none where no files are named, which means observe everything."""
    if settings.policies is None:
        return tuple
    path = settings.policies
    files: LastGood[tuple[Policy, ...]] = LastGood(lambda: [path], lambda: load_policies(path))

    def current() -> tuple[Policy, ...]:
        files.refresh()
        return files.value

    return current
