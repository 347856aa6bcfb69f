"""Users' files as the services take them: baselines and policies, read again when they change, last good kept."""

from collections.abc import Callable
from pathlib import Path

from schemas.policy import Policy
from services.kube.baselines import load_baselines, watched_paths
from services.kube.declared import DeclaredSource
from services.runtime.lastgood import LastGood
from services.runtime.settings import Settings
from services.runtime.userfiles import load_policies


def declared_source(settings: Settings) -> DeclaredSource:
    """Raises UserFileError where the files are wrong now, UsageError where none are named."""
    path: Path = settings.need("baselines", "--baselines FILE|DIR")
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
