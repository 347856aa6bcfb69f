"""Kubernetes' audit webhook: batches of what somebody asked an API server to do, and who that was.

The name in the path is the cluster's name. An `EventList` of `audit.k8s.io/v1` arrives (kube-apiserver's
`--audit-webhook-config-file`; https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/). Only writes that succeeded
and changed an object that can be named make an event. Of bodies, which a policy above the level Metadata would send,
one resourceVersion is read and nothing kept.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from pydantic import ValidationError

from schemas.events import AuditObserved, Event, make_event, stable_id
from schemas.target import CLUSTER_SCOPED, CORE
from schemas.topics import TopicName
from services.gateway.alerts import one_line
from services.gateway.proof import BEARER
from services.gateway.source import Inbound, Made, Reading, Source, Unreadable

API_VERSION, KIND = "audit.k8s.io/v1", "EventList"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
NO_CHANGE = frozenset(
    {"status", "token", "binding", "eviction", "exec", "attach", "portforward", "proxy", "log", "approval"}
)
"""Subresources through which nobody changes what is declared."""
CHATTER = frozenset({("coordination.k8s.io", "leases"), ("", "events"), ("events.k8s.io", "events")})
LONGEST_MANAGER, LONGEST_USER = 128, 1024
MAX_BYTES = 32 * 1024 * 1024


def read(inbound: Inbound) -> Reading:
    """Events of one batch. An odd entry is passed over, since the others of its batch are not to blame."""
    cluster = inbound.sender.name
    try:
        batch = orjson.loads(inbound.body)
    except orjson.JSONDecodeError:
        raise Unreadable("not JSON") from None
    if not isinstance(batch, dict) or (batch.get("apiVersion"), batch.get("kind")) != (API_VERSION, KIND):
        raise Unreadable(f"not an {KIND} of {API_VERSION}")
    items = batch.get("items")
    if not isinstance(items, list):
        raise Unreadable("'items' is no list")
    made, passed_over = [], Counter[str]()
    for item in items:
        why = reason_to_pass(item)
        event = None if why else _event(item, cluster)
        if event is None:
            passed_over[why or "unreadable"] += 1
        else:
            made.append(Made(TopicName.AUDIT, cluster, event))
    return Reading(tuple(made), passed_over)


def reason_to_pass(item: Any) -> str | None:
    """Why an entry makes no event, None where it makes one."""
    if not isinstance(item, dict):
        return "unreadable"
    if item.get("stage") != "ResponseComplete":
        return "stage"
    verb = _text(item, "verb")
    if verb not in WRITES:
        return "read"
    if not 200 <= _code(item) < 300:
        return "failed"
    about = _map(item, "objectRef")
    group, resource = _text(about, "apiGroup"), _text(about, "resource")
    if not resource or not (_text(about, "name") or verb == "deletecollection"):
        return "nameless"
    if (group, resource) in CHATTER or _text(about, "subresource") in NO_CHANGE:
        return "chatter"
    return "dry-run" if "dryRun" in _parameters(item) else None


def field_manager(item: Mapping[str, Any]) -> str:
    """The name that the API server writes into managedFields for such a request, by its own rule."""
    given = _parameters(item).get("fieldManager")
    if given:
        return given[-1]
    agent = _text(item, "userAgent").partition("/")[0]
    return "".join(letter for letter in agent if letter.isprintable())[:LONGEST_MANAGER] or "unknown"


def _event(item: Mapping[str, Any], cluster: str) -> Event[AuditObserved] | None:
    """None for what no object could be called. The user agent is whatever any client of the API server says."""
    about, metadata = _map(item, "objectRef"), _map(_map(item, "responseObject"), "metadata")
    group, resource, namespace, name = (_text(about, part) for part in ("apiGroup", "resource", "namespace", "name"))
    version = metadata.get("resourceVersion")
    if not f"{group}{resource}{namespace}{name}{_text(about, 'subresource')}".isprintable():
        return None
    try:
        data = AuditObserved(
            cluster=cluster, group=group, resource=resource, namespace=namespace, name=name,
            subresource=_text(about, "subresource"), verb=item["verb"], user=_shown(_map(item, "user").get("username")),
            acting_as=_shown(_map(item, "impersonatedUser").get("username")), manager=field_manager(item),
            user_agent=one_line(_text(item, "userAgent"), 256), received=item.get("requestReceivedTimestamp"),
            time=item.get("stageTimestamp"), resource_version=str(version) if version else None,
        )  # fmt: skip
    except ValidationError:
        return None
    audit_id = item.get("auditID") or (data.user, data.verb, resource, namespace, name, item["stageTimestamp"])
    identity = stable_id(cluster, "audit", audit_id)
    subject = f"{cluster}/{group or CORE}/{resource}/{namespace or CLUSTER_SCOPED}/{name or '*'}"
    return make_event(
        data, id=identity, source="setpoint/gateway/audit", subject=subject, time=data.time, correlationid=identity
    )


def _shown(user: Any) -> Any:
    """A user's name on one line: who gives them out need not be careful. What is no text is left to the model."""
    return one_line(user, LONGEST_USER) if isinstance(user, str) else user


def _parameters(item: Mapping[str, Any]) -> dict[str, list[str]]:
    try:
        return parse_qs(urlsplit(_text(item, "requestURI")).query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return {}


def _code(item: Mapping[str, Any]) -> int:
    code = _map(item, "responseStatus").get("code")
    return code if isinstance(code, int) else 0


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _map(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    child = value.get(name)
    return child if isinstance(child, dict) else {}


AUDIT = Source("audit", MAX_BYTES, BEARER, read)
