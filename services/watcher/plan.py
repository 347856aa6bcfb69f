"""Which watches a kind needs, as a pure function: all objects, some namespaces, those with a label, or one by name.

Everything of a kind is the usual case. Less is asked for where that is certain to miss nothing that is declared and
saves something: one declared object is watched by its name, and where the cluster holds many times more objects than
are declared, the server filters by a label that all of the declared ones carry, or by their namespaces. A token that
may not list a kind everywhere is asked to list it where objects are declared.

A label is the one filter that an object can leave while it exists, and the server then tells it as deleted. Whoever
uses such a slice must read by itself the declared objects that are not in it (`Kinds.strays`).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from services.kube.api.discovery import Resource
from services.kube.declaration.baselines import Declared
from services.kube.objects import ObjectKey, metadata_of
from services.kube.verdict.unwanted import LABEL, PruneRule

WORTH = 1000  # objects of a kind in the cluster, below which a filter saves nothing
SHARE = 4  # times as many objects as are declared
FEW = 5  # namespaces, each with a watch of its own
VALUES = 10  # of one label
PREFERRED = (LABEL, "app.kubernetes.io/instance", "app.kubernetes.io/part-of", "app.kubernetes.io/managed-by")


class Slice(NamedTuple):
    """What one reflector watches. `labels` and `name` are the server's filters, "" for none."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    name: str = ""

    @property
    def query(self) -> dict[str, str]:
        """As parameters of a request."""
        query = {"labelSelector": self.labels, "fieldSelector": f"metadata.name={self.name}" if self.name else ""}
        return {name: value for name, value in query.items() if value}

    def holds(self, key: ObjectKey) -> bool:
        """True where an object of the kind is looked for here, labels aside."""
        return self.namespace in ("", key.namespace) and self.name in ("", key.name)


def by_name(entries: Sequence[Declared], rules: Sequence[PruneRule]) -> bool:
    """True where the one declared object is all there is to see, so that nobody needs to count the others."""
    return len(entries) == 1 and not rules


def slices(
    resource: Resource, entries: Sequence[Declared], rules: Sequence[PruneRule], there: int | None
) -> frozenset[Slice]:
    """What to watch for these declared objects of one kind. `there` is how many the cluster holds, None where the token
    may not list them all."""
    if by_name(entries, rules):
        return frozenset({Slice(resource, entries[0].key.namespace, name=entries[0].key.name)})
    spaces = {entry.key.namespace for entry in entries}.union(*(rule.namespaces for rule in rules))
    each = frozenset(Slice(resource, space) for space in spaces)
    if there is None:
        return each
    if there >= max(WORTH, SHARE * len(entries)):
        labels = selector(entries, rules)
        if labels:
            return frozenset({Slice(resource, labels=labels)})
        if len(spaces) <= FEW:
            return each
    return frozenset({Slice(resource)})


def selector(entries: Sequence[Declared], rules: Sequence[PruneRule]) -> str:
    """A label selector that every declared object meets, and every unwanted one; "" where there is none.

    Of several labels the one with the fewest values.
    """
    wanted = tuple({rule.label for rule in rules}) or PREFERRED
    if rules and len(wanted) > 1:
        return ""
    found = _values(entries, wanted)
    for label in found:
        found[label] |= {rule.value for rule in rules}
    fit = [(len(values), wanted.index(label), label) for label, values in found.items() if len(values) <= VALUES]
    if not fit:
        return ""
    label = min(fit)[2]
    values = sorted(found[label])
    return f"{label}={values[0]}" if len(values) == 1 else f"{label} in ({','.join(values)})"


def _values(entries: Iterable[Declared], wanted: Sequence[str]) -> dict[str, frozenset[str]]:
    """The values of each wanted label that all manifests carry. Ends early where there is none."""
    found: dict[str, frozenset[str]] = {label: frozenset() for label in wanted}
    for entry in entries:
        labels = metadata_of(entry.obj).get("labels")
        own = labels if isinstance(labels, dict) else {}
        found = {label: values | {str(own[label])} for label, values in found.items() if own.get(label)}
        if not found:
            break
    return found
