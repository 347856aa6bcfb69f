"""The least rights that policies need, as grants: what they read to find targets, what their steps do, what limits ask.

Pure. A policy that names its namespaces gets rights there only, a step that names its object on that object only; what
a template may come to decides the rest. Policies that only observe need to find their targets, and nothing else.
Rights to watch what baselines declare are the watcher's, and not here.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from schemas.events import Mode
from schemas.policy import Policy, Step
from schemas.reference import GROUPS, Reference
from schemas.template import Template, is_template
from services.kube.objects import ObjectKey, key_of
from services.reconciler.acting import observing
from services.reconciler.acting.resolving import READS
from services.reconciler.acting.tracking import APPLICATION
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operations import OPERATIONS
from services.reconciler.actions.rights import plural
from services.reconciler.policies.globs import WILD
from services.reconciler.policies.manual import ON_DRIFT
from services.runtime.filling import templates_in

EVERYWHERE = ("",)
"""The namespaces of a ClusterRole."""
CLUSTER_SCOPED = frozenset({"nodes", "namespaces", "persistentvolumes"})
HERE = frozenset({"event.workload", "event.pod", "event.object"})
"""What lies in the namespace that the alert is about."""
CORE = frozenset(
    """Pod Node Namespace Service ConfigMap Secret PersistentVolumeClaim PersistentVolume ServiceAccount Endpoints
    ReplicationController ResourceQuota LimitRange""".split()
)
BY_NAME = frozenset({"get", "patch", "update", "delete"})
"""The verbs that can be granted on one name."""
MAKES_ROOM = "delete"


class Grant(NamedTuple):
    """One verb on one resource; `namespace` "" for the whole cluster, `name` "" for any object."""

    namespace: str
    group: str
    resource: str
    name: str
    verb: str


Declared = Mapping[str, Iterable[ObjectKey]]
"""What each policy on drift may put back, by the policy's name; `*` as a kind for what only the cluster knows."""


def grants_of(policies: Iterable[Policy], declared: Declared) -> frozenset[Grant]:
    """Everything that is needed, without what something wider grants already."""
    found = frozenset(grant for policy in policies for grant in _of_policy(policy, declared.get(policy.name, ())))
    return frozenset(grant for grant in found if not any(wider in found for wider in _wider(grant)))


def acts_on_drift(policy: Policy) -> bool:
    """Whether its rights follow from what is declared."""
    return policy.spec.trigger.drift is not None and policy.spec.mode is not Mode.OBSERVE


def _wider(grant: Grant) -> Iterator[Grant]:
    """Every grant that covers this one, itself aside."""
    for namespace in {grant.namespace, ""}:
        for group, resource in {(grant.group, grant.resource), ("*", grant.resource), ("*", "*")}:
            for name in {grant.name, ""}:
                other = Grant(namespace, group, resource, name, grant.verb)
                if other != grant:
                    yield other


def _of_policy(policy: Policy, declared: Iterable[ObjectKey]) -> Iterator[Grant]:
    spec = policy.spec
    if spec.trigger.drift is not None:
        yield from _on_drift(policy, declared) if acts_on_drift(policy) else ()
        return
    namespaces = _literal(spec.match.namespace) or EVERYWHERE
    if spec.trigger.alert is not None:
        for rule in _reads(policy, namespaces):
            yield from _grants(rule, namespaces)
    if "event.application" in _expressions(policy):
        group, kind = APPLICATION
        yield from _grants(Rule(group, plural(kind), ("list",)), EVERYWHERE)
    if spec.mode is Mode.OBSERVE:
        return
    for step in (*spec.do, *spec.otherwise):
        yield from _of_step(step, policy, namespaces)
        if spec.mode is Mode.ENFORCE and spec.limits.blast_radius is not None:
            for rule in observing.reads(step.action, spec.limits.blast_radius):
                yield from _grants(rule, namespaces)


def _on_drift(policy: Policy, declared: Iterable[ObjectKey]) -> Iterator[Grant]:
    for step in policy.spec.do:
        needs, _, _ = ON_DRIFT[step.action]
        spared = step.action == "revert" and not step.recreates and step.undo == "never"
        verbs = tuple(verb for rule in needs for verb in rule.verbs if not (spared and verb == MAKES_ROOM))
        for key in declared:
            resource = "*" if key.kind == "*" else plural(key.kind)
            yield from _grants(Rule(key.group, resource, verbs), (key.namespace,))


def _reads(policy: Policy, namespaces: tuple[str, ...]) -> Iterator[Rule]:
    """What finding a target looks at: the kinds that may be named, and those above them."""
    kinds = _literal(policy.spec.match.kind)
    known = {rule.resource for rule in READS}
    listed = namespaces == EVERYWHERE or "PersistentVolumeClaim" in kinds
    for rule in READS:
        if rule.resource in CLUSTER_SCOPED and namespaces != EVERYWHERE:
            continue  # what has no namespace does not match a policy that names some
        if kinds and rule.group == "" and not _looked_at(rule.resource, kinds):
            continue
        yield Rule(rule.group, rule.resource, tuple(verb for verb in rule.verbs if verb == "get" or listed))
    for kind in kinds:
        if plural(kind) not in known:
            yield Rule(_group(kind), plural(kind), ("get",))


def _looked_at(resource: str, kinds: tuple[str, ...]) -> bool:
    through_pods = resource == "pods" and "PersistentVolumeClaim" in kinds
    return through_pods or resource in {plural(kind) for kind in kinds}


def _of_step(step: Step, policy: Policy, namespaces: tuple[str, ...]) -> Iterator[Grant]:
    parameters = step.parameters
    about = getattr(parameters, type(parameters).about or "", None)
    where, named = _where(step, about, namespaces)
    for rule in OPERATIONS[step.action].rules(parameters):
        for one in _narrowed(rule, policy, about):
            own = named is not None and (one.group, one.resource) == (named.group, plural(named.kind))
            yield from _grants(one, where, named.name if own and named else "")


def _where(step: Step, about: Any, namespaces: tuple[str, ...]) -> tuple[tuple[str, ...], Reference | None]:
    """In which namespaces a step works, and its object where that is written."""
    parameters = step.parameters
    if isinstance(about, Reference):
        return (about.namespace,), about
    if is_template(about):
        return (namespaces if Template(about).expression in HERE else EVERYWHERE), None
    manifest, velero = getattr(parameters, "manifest", None), getattr(parameters, "velero_namespace", None)
    if manifest is not None:
        key = key_of(manifest)
        return ((key.namespace,) if not templates_in([key.namespace]) else EVERYWHERE), None
    return ((velero,) if velero else EVERYWHERE), None


def _narrowed(rule: Rule, policy: Policy, about: Any) -> Iterator[Rule]:
    """The rule on any kind as rules on the kinds that the alert may be about, where the policy names them."""
    kinds = _literal(policy.spec.match.kind)
    if rule.resource == "*" and kinds and is_template(about) and Template(about).expression == "event.object":
        yield from (Rule(_group(kind), plural(kind), rule.verbs) for kind in kinds)
    else:
        yield rule


def _grants(rule: Rule, namespaces: Iterable[str], name: str = "") -> Iterator[Grant]:
    for namespace in namespaces:
        where = "" if rule.resource in CLUSTER_SCOPED else namespace
        for verb in rule.verbs:
            yield Grant(where, rule.group, rule.resource, name if verb in BY_NAME else "", verb)


def _literal(globs: tuple[str, ...]) -> tuple[str, ...]:
    """The names, where all of them are written in full."""
    return () if any(WILD.intersection(glob) for glob in globs) else globs


def _group(kind: str) -> str:
    return GROUPS.get(kind) or ("" if kind in CORE else "*")


def _expressions(policy: Policy) -> str:
    """All expressions of a policy as one text."""
    spec = policy.spec
    steps = (*spec.do, *spec.otherwise)
    found = [source for step in steps for source in templates_in(step.parameters)]
    condition = spec.approve.condition if spec.approve else ""
    return "\n".join([*found, spec.when or "", str(condition)])
