"""`setpoint rbac`: the least roles that policies need, as YAML to review and apply. Reaches nothing but files."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from schemas.policy import Match, Policy
from schemas.target import Target
from services.cli.options import EXISTING
from services.kube.declaration.baselines import load_baselines
from services.kube.objects import ObjectKey
from services.reconciler.policies.checking import wrongs
from services.reconciler.policies.roles import Grant, acts_on_drift, grants_of
from services.runtime.errors import UsageError
from services.runtime.rulefiles import load_rules
from services.runtime.settings import load_settings

RBAC = "rbac.authorization.k8s.io"
VERBS = ("get", "list", "create", "patch", "update", "delete")
NAME = "setpoint-policies"
Manifest = dict[str, Any]


@click.command(
    name="rbac",
    epilog="Example: setpoint rbac --policies ./policies --baselines ./platform | kubectl apply -f -",
    short_help="the least roles that policies need",
)
@click.option("--policies", type=EXISTING, help="File or folder with Policy documents.")
@click.option("--baselines", type=EXISTING, help="File or folder with Baselines: what policies on drift may put back.")
@click.option("--name", default=NAME, show_default=True, help="Of the roles.")
@click.option("--service-account", metavar="NAMESPACE/NAME", help="Bind the roles to it, too.")
def command(policies: Path | None, baselines: Path | None, name: str, service_account: str | None) -> int:
    """Print a ClusterRole, and a Role for each namespace that policies name, with the rights of these policies only.

    What the watcher needs to watch the declared kinds is not among them.
    """
    settings = load_settings(policies=policies, baselines=baselines)
    settings.need("policies", "--policies")
    rules = load_rules(Path(str(settings.policies)), wrongs)
    grants = grants_of(rules.policies, _declared(rules.policies, settings.baselines))
    wide = [verb for verb in VERBS if any(one.resource == "*" and one.verb == verb for one in grants)]
    if wide:
        click.echo(f"{', '.join(wide)} on any kind: name objects, or match.kind, to need less", err=True)
    documents = roles(grants, name)
    if service_account:
        documents += bindings(documents, *_account(service_account))
    click.echo(yaml.safe_dump_all(documents, sort_keys=False), nl=False)
    return 0


def roles(grants: Iterable[Grant], name: str) -> list[Manifest]:
    """A ClusterRole for what is everywhere, and a Role a namespace; none where nothing is needed."""
    by_namespace: dict[str, list[Grant]] = defaultdict(list)
    for grant in grants:
        by_namespace[grant.namespace].append(grant)
    return [_role(name, namespace, found) for namespace, found in sorted(by_namespace.items())]


def bindings(documents: Sequence[Manifest], namespace: str, account: str) -> list[Manifest]:
    """What gives the roles to a service account."""
    subject = {"kind": "ServiceAccount", "namespace": namespace, "name": account}
    return [
        {
            "apiVersion": f"{RBAC}/v1", "kind": f"{role['kind']}Binding", "metadata": role["metadata"],
            "roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": role["metadata"]["name"]},
            "subjects": [dict(subject)],
        }
        for role in documents
    ]  # fmt: skip


def _role(name: str, namespace: str, grants: Iterable[Grant]) -> Manifest:
    verbs: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for grant in grants:
        verbs[grant.group, grant.name, grant.resource].add(grant.verb)
    alike: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, only, resource), found in sorted(verbs.items()):
        alike[group, only, tuple(verb for verb in VERBS if verb in found)].append(resource)
    rules = [
        {"apiGroups": [group], "resources": resources, **({"resourceNames": [only]} if only else {}),
         "verbs": list(found)}
        for (group, only, found), resources in alike.items()
    ]  # fmt: skip
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": f"{RBAC}/v1", "kind": "Role" if namespace else "ClusterRole", "metadata": metadata,
            "rules": rules}  # fmt: skip


def _declared(policies: Iterable[Policy], path: Path | None) -> dict[str, list[ObjectKey]]:
    """What each policy on drift may put back. Raises UsageError where that cannot be known."""
    mine = [policy for policy in policies if acts_on_drift(policy)]
    if not mine:
        return {}
    if path is None:
        fix = "Give --baselines, since what may be put back is what they declare"
        raise UsageError(f"the policy '{mine[0].name}' corrects drift", fix)
    state = load_baselines(path)
    found: dict[str, list[ObjectKey]] = {}
    for policy in mine:
        drift, match = policy.spec.trigger.drift, policy.spec.match
        assert drift is not None
        named = [one.metadata.name for one in state.baselines if one.spec.source.in_cluster]
        unknown = [name for name in named if drift.baseline in ("*", name)]
        own = [
            one.key for one in state.objects
            if drift.baseline in ("*", one.baseline) and _fits(match, one.key)
        ]  # fmt: skip
        found[policy.name] = [*own, *(ObjectKey("*", "*", "", "") for _ in unknown[:1])]
    return found


def _fits(match: Match, key: ObjectKey) -> bool:
    """In whatever cluster: the roles may be for any of those that the policy is about."""
    anywhere = match.model_copy(update={"cluster": ()})
    target = Target(cluster="", group=key.group, kind=key.kind, namespace=key.namespace, name=key.name)
    return anywhere.matches(target)


def _account(text: str) -> tuple[str, str]:
    namespace, _, name = text.partition("/")
    if not namespace or not name:
        raise UsageError(f"no service account: {text!r}", "Write NAMESPACE/NAME")
    return namespace, name
