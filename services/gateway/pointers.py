"""Which object a build or deployment is about, where whoever made it has said so in its parameters.

Only names that point somewhere are read: the other parameters of a build are nobody's business here, and some people
put secrets there. Capitals do not count, since a build's variables have them by custom.
"""

from collections.abc import Mapping
from typing import Any

from services.gateway.about import NAMESPACED
from services.gateway.bodies import texts
from services.gateway.source import Sender

NAMES = frozenset({"namespace", "pod", "node", "cluster", *(names[0] for names in NAMESPACED.values())})


def pointers(given: Mapping[str, Any], sender: Sender) -> dict[str, str]:
    """Those of `given` that name an object, or the cluster by the sender's own label, as labels."""
    known = {name.lower(): value for name, value in texts(given).items()}
    wanted = {name: name for name in NAMES} | {sender.cluster_label.lower(): sender.cluster_label}
    return {label: known[name] for name, label in wanted.items() if known.get(name)}
