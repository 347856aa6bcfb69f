"""Objects that should not be there: they carry a baseline's label, and nobody declares them.

Looked for only where a baseline asks for it (`spec.prune`), and only among the kinds and in the namespaces that it
declares objects of: a label can be put on anything by anybody. What a controller made (Pods carry their Deployment's
labels), what is ending anyway and what Argo CD, Flux or a pause mark owns is never unwanted. Used by the watcher and by
`setpoint diff`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.baseline import Baseline, PruneMode
from schemas.events import DriftState
from services.kube.api.cluster import Cluster
from services.kube.api.discovery import Resource
from services.kube.api.errors import Forbidden
from services.kube.api.pages import pages, typed
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, ObjectKey, key_of, metadata_of
from services.kube.pointer import FieldDiff, to_pointer
from services.kube.verdict.judge import Finding
from services.kube.writers.marks import claimed_by, is_kept

LABEL = "setpoint.dev/baseline"


@dataclass(frozen=True, slots=True)
class PruneRule:
    """What one baseline wants of one kind. `namespaces` are those it declares objects of the kind in, "" for none."""

    baseline: str
    mode: PruneMode
    label: str
    value: str
    version: str
    namespaces: frozenset[str]
    take_over: bool = False

    @property
    def selector(self) -> str:
        """For the server: a superset of what is unwanted."""
        return f"{self.label}={self.value}"


Rules = Mapping[tuple[str, str], tuple[PruneRule, ...]]  # by group and kind


def prune_rules(baselines: Iterable[Baseline], declared: Mapping[ObjectKey, Declared]) -> dict[
    tuple[str, str], tuple[PruneRule, ...]
]:  # fmt: skip
    """The rules of all baselines that ask for it, by group and kind."""
    asking = {baseline.metadata.name: baseline for baseline in baselines if baseline.spec.prune}
    places: dict[tuple[str, str, str], tuple[str, set[str]]] = {}
    for key, entry in declared.items() if asking else ():
        if entry.baseline in asking:
            _, found = places.setdefault((entry.baseline, key.group, key.kind), (entry.version, set()))
            found.add(key.namespace)
    rules: dict[tuple[str, str], list[PruneRule]] = defaultdict(list)
    for (name, group, kind), (version, namespaces) in sorted(places.items()):
        rules[group, kind].append(_rule(asking[name], version, frozenset(namespaces)))
    return {kind: tuple(found) for kind, found in rules.items()}


def _rule(baseline: Baseline, version: str, namespaces: frozenset[str]) -> PruneRule:
    prune, name = baseline.spec.prune, baseline.metadata.name
    assert prune is not None
    label, _, value = (prune.label or f"{LABEL}={name}").partition("=")
    return PruneRule(name, prune.mode, label, value, version, namespaces, baseline.spec.take_over)


def unwanted_by(rules: Iterable[PruneRule], key: ObjectKey, live: Object) -> PruneRule | None:
    """The rule by which an undeclared object should not be there; None where it may be."""
    metadata = metadata_of(live)
    labels = metadata.get("labels")
    if not isinstance(labels, dict):
        return None
    for rule in rules:
        if labels.get(rule.label) == rule.value and key.namespace in rule.namespaces:
            if metadata.get("deletionTimestamp") or _controlled(metadata) or is_kept(live):
                return None
            if rule.take_over or claimed_by(live) is None:
                return rule
    return None


def _controlled(metadata: Object) -> bool:
    owners = metadata.get("ownerReferences")
    found = owners if isinstance(owners, list) else []
    return any(isinstance(owner, dict) and owner.get("controller") is True for owner in found)


def finding_of(rule: PruneRule) -> Finding:
    """The verdict on an unwanted object. Its one field is the label, so that who put it there is told."""
    path = to_pointer(("metadata", "labels", rule.label))
    message = f"carries {rule.label}={rule.value}, and no baseline declares it"
    return Finding(DriftState.UNWANTED, (FieldDiff(path, "added", None, rule.value),), message=message)


@dataclass(frozen=True)
class Unwanted:
    """One object that should not be there, as it is. Says what a declaration says, so that both are told alike."""

    key: ObjectKey
    rule: PruneRule
    live: Object
    revision: None = None
    observe: str = ""

    @property
    def finding(self) -> Finding:
        """See `finding_of`."""
        return finding_of(self.rule)

    @property
    def baseline(self) -> str:
        """The one whose label it carries."""
        return self.rule.baseline

    @property
    def digest(self) -> str:
        """Of what is declared: that it should not be there."""
        return f"unwanted {self.rule.selector}"

    @property
    def obj(self) -> Object:
        """What would be declared: no field of it."""
        return {"kind": self.key.kind, "metadata": {}}


async def find_unwanted(
    cluster: Cluster, rules: Rules, declared: Mapping[ObjectKey, Declared]
) -> tuple[list[Unwanted], list[str]]:
    """All of them, by key, and what the token may not list, in words. Raises Unavailable where the server is away.

    The server selects by the label: a list across all namespaces where the token may, else one a namespace.
    """
    found: dict[ObjectKey, Unwanted] = {}
    refused: list[str] = []
    for (group, kind), of_kind in rules.items():
        resource = cluster.catalogue.find(group, kind, of_kind[0].version)
        for rule in of_kind if resource else ():
            assert resource is not None
            for obj in await _labelled(cluster, resource, rule, refused):
                key = key_of(obj)
                if key not in declared and unwanted_by((rule,), key, obj):
                    found.setdefault(key, Unwanted(key, rule, obj))
    return [found[key] for key in sorted(found)], refused


async def _labelled(cluster: Cluster, resource: Resource, rule: PruneRule, refused: list[str]) -> list[Object]:
    if len(rule.namespaces) > 1:
        try:
            return await _listed(cluster, resource, "", rule)
        except Forbidden:
            pass  # perhaps it may in the namespaces themselves
    found: list[Object] = []
    for namespace in sorted(rule.namespaces):
        try:
            found += await _listed(cluster, resource, namespace, rule)
        except Forbidden as error:
            refused.append(error.message)
    return found


async def _listed(cluster: Cluster, resource: Resource, namespace: str, rule: PruneRule) -> list[Object]:
    query = {"labelSelector": rule.selector}
    return [
        typed(obj, resource) async for page in pages(cluster.session, resource, namespace, query=query) for obj in page
    ]
