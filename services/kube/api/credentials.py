"""The part of kubernetes-asyncio that reads credentials, without its 900 modules of models and calls.

`import kubernetes_asyncio` loads a module for every kind and every API: 35 MiB and a quarter of a second in every
process, to read one file. So its packages that only list those stand empty while the part that we use is imported, and
are taken away again: whoever imports the library afterwards gets all of it. Where a version of the library does not
come apart like this, all of it is imported here as well.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

LIBRARY = "kubernetes_asyncio"
CLIENT = f"{LIBRARY}.client"
EMPTY = (LIBRARY, CLIENT, f"{CLIENT}.models")


class Loaders(NamedTuple):
    """The library's own names, untyped as they are."""

    configuration: Any
    error: type[Exception]
    load_kubeconfig: Any
    load_in_cluster: Any


@cache
def loaders() -> Loaders:
    """Imported at the first call, by who connects to a cluster."""
    try:
        with _empty_packages():
            return _imported()
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == LIBRARY]:
            del sys.modules[name]
        return _imported()


def _imported() -> Loaders:
    configuration = importlib.import_module(f"{CLIENT}.configuration").Configuration
    config = importlib.import_module(f"{LIBRARY}.config")
    return Loaders(configuration, config.ConfigException, config.load_kube_config, config.load_incluster_config)


@contextmanager
def _empty_packages() -> Iterator[None]:
    """Nothing is done where somebody has imported the library already."""
    spec = None if LIBRARY in sys.modules else find_spec(LIBRARY)
    if spec is None or not spec.submodule_search_locations:
        yield
        return
    try:
        for name in EMPTY:
            module = sys.modules[name] = ModuleType(name)
            below = name.split(".")[1:]
            module.__path__ = [str(Path(root, *below)) for root in spec.submodule_search_locations]
        client: Any = sys.modules[CLIENT]
        client.Configuration = importlib.import_module(f"{CLIENT}.configuration").Configuration
        client.ApiClient = importlib.import_module(f"{CLIENT}.api_client").ApiClient
        yield
    finally:
        for name in EMPTY:
            sys.modules.pop(name, None)
