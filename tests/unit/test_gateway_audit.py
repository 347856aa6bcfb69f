"""What the gateway makes of an API server's audit: who wrote what, and nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.events import AuditObserved
from services.gateway.source import Inbound, Sender, Unreadable
from services.gateway.sources.audit import read

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def entry(**changes: Any) -> dict[str, Any]:
    """As kube-apiserver 1.37 sends it at the level Metadata; a change to None leaves the field out."""
    whole = {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "f67e0610",
        "stage": "ResponseComplete", "verb": "patch",
        "requestURI": "/apis/apps/v1/namespaces/pay/deployments/api?fieldManager=kubectl-edit&fieldValidation=Strict",
        "user": {"username": "alice", "groups": ["sre", "system:authenticated"], "extra": {"ip": ["10.0.0.9"]}},
        "sourceIPs": ["10.0.0.9"], "userAgent": "kubectl/v1.37.2 (linux/amd64) kubernetes/0123abc",
        "objectRef": {"resource": "deployments", "namespace": "pay", "name": "api", "apiGroup": "apps",
                      "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": "2026-11-24T11:59:59.151022Z", "stageTimestamp": "2026-11-24T11:59:59.164210Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }  # fmt: skip
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def inbound(body: bytes, name: str) -> Inbound:
    return Inbound(body, {}, Sender(name), NOON)


def about(**parts: str) -> dict[str, Any]:
    return {"resource": "deployments", "namespace": "pay", "name": "api", "apiGroup": "apps", **parts}


def batch(*entries: Any, **changes: Any) -> bytes:
    return json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": entries, **changes}).encode()


def observed(*entries: Any) -> list[AuditObserved]:
    return [made.event.data for made in read(inbound(batch(*entries), "staging")).made]


def test_a_write_says_who_did_what_to_which_object() -> None:
    """With the tool's name as managedFields has it and the times between which it was stamped there."""
    (made,) = read(inbound(batch(entry()), "staging")).made
    data = made.event.data
    assert (made.topic, made.key) == ("setpoint-audit", "staging")
    assert made.event.subject == "staging/apps/deployments/pay/api"
    assert (data.user, data.manager, data.verb, data.cluster) == ("alice", "kubectl-edit", "patch", "staging")
    assert (data.received.microsecond, data.time.microsecond) == (151022, 164210)
    assert data.resource_version is None


def test_nothing_of_bodies_addresses_and_groups_is_kept() -> None:
    """Above the level Metadata the API server sends whole objects, Secrets among them."""
    secret = {"metadata": {"resourceVersion": "77", "annotations": {"a": "hidden"}}, "data": {"password": "aGlkZGVu"}}
    (made,) = read(inbound(batch(entry(requestObject=secret, responseObject=secret)), "staging")).made
    text = made.event.model_dump_json()
    assert made.event.data.resource_version == "77"
    assert not [word for word in ("hidden", "aGlkZGVu", "10.0.0.9", "sre") if word in text]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"stage": "RequestReceived"}, "stage", id="not-done-yet"),
        pytest.param({"stage": "Panic"}, "stage", id="it-failed-inside"),
        pytest.param({"verb": "get"}, "read", id="a-read"),
        pytest.param({"verb": "watch"}, "read", id="a-watch"),
        pytest.param({"responseStatus": {"code": 409}}, "failed", id="a-conflict"),
        pytest.param({"responseStatus": None}, "failed", id="no-status"),
        pytest.param({"responseStatus": {"code": "200"}}, "failed", id="odd-status"),
        pytest.param({"objectRef": None}, "nameless", id="no-object"),
        pytest.param({"objectRef": about(name="")}, "nameless", id="generated-name"),
        pytest.param({"objectRef": about(subresource="status")}, "chatter", id="status"),
        pytest.param({"objectRef": about(resource="pods", subresource="exec")}, "chatter", id="exec"),
        pytest.param({"objectRef": about(resource="leases", apiGroup="coordination.k8s.io")}, "chatter", id="lease"),
        pytest.param({"objectRef": about(resource="events", apiGroup="events.k8s.io")}, "chatter", id="event"),
        pytest.param({"requestURI": "/apis/x?dryRun=All&fieldManager=m"}, "dry-run", id="dry-run"),
        pytest.param({"user": {}}, "unreadable", id="no-user"),
        pytest.param({"stageTimestamp": "soon"}, "unreadable", id="no-time"),
    ],
)
def test_what_changes_no_object_makes_no_event(changes: dict[str, Any], why: str) -> None:
    """And is counted by its reason; its neighbours in the batch are not to blame."""
    reading = read(inbound(batch(entry(**changes), entry(auditID="2")), "staging"))
    assert (len(reading.made), reading.passed_over) == (1, {why: 1})


@pytest.mark.parametrize(
    ("changes", "manager"),
    [
        pytest.param({}, "kubectl-edit", id="its-own-parameter"),
        pytest.param({"requestURI": "/apis/apps/v1/x?fieldManager=a%20b%2Fc"}, "a b/c", id="escaped"),
        pytest.param({"requestURI": "/apis/apps/v1/x"}, "kubectl", id="the-user-agent"),
        pytest.param({"requestURI": None, "userAgent": "my-tool"}, "my-tool", id="an-agent-without-version"),
        pytest.param({"requestURI": "/x", "userAgent": "a\u0007b/1"}, "ab", id="unprintable"),
        pytest.param({"requestURI": "/x", "userAgent": "n" * 200}, "n" * 128, id="long"),
        pytest.param({"requestURI": "/x", "userAgent": None}, "unknown", id="none"),
        pytest.param({"requestURI": "http://[x?fieldManager=m"}, "kubectl", id="no-address"),
    ],
)
def test_the_manager_is_what_the_api_server_would_write(changes: dict[str, Any], manager: str) -> None:
    """managedFields and audit meet on this name."""
    assert [data.manager for data in observed(entry(**changes))] == [manager]


def test_impersonation_names_both() -> None:
    """A proxy's user is not who did it, and not nobody either."""
    (data,) = observed(entry(impersonatedUser={"username": "alice"}, user={"username": "proxy"}))
    assert (data.user, data.acting_as) == ("proxy", "alice")


def test_a_collection_has_no_name() -> None:
    """`kubectl delete --all` names nobody."""
    target = {"resource": "configmaps", "namespace": "pay"}
    (data,) = observed(entry(verb="deletecollection", objectRef=target))
    assert (data.group, data.resource, data.name) == ("", "configmaps", "")


def test_a_batch_that_is_sent_again_has_the_same_ids() -> None:
    """The API server repeats a batch that it got no answer to."""
    ids = [[made.event.id for made in read(inbound(batch(entry()), name)).made] for name in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="torn"),
        pytest.param(b"[]", id="list"),
        pytest.param(batch(kind="Event"), id="one-event"),
        pytest.param(batch(apiVersion="audit.k8s.io/v1beta1"), id="another-version"),
        pytest.param(batch(items={"a": "secret-word"}), id="no-items"),
    ],
)
def test_another_body_is_refused_without_quoting_it(body: bytes) -> None:
    """The message goes back to whoever sent it."""
    with pytest.raises(Unreadable) as raised:
        read(inbound(body, "staging"))
    assert "secret-word" not in str(raised.value)


ODD: list[Any] = [None, 1, "text", [], {}, {"stage": "ResponseComplete", "verb": ["patch"]}, entry(objectRef=[]),
       entry(user="alice"), entry(requestURI=5), entry(objectRef={**about(), "subresource": ["status"]}),
       entry(responseObject="text"), entry(auditID={"a": 1})]  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_odd_entries_never_fail_a_batch(odd: Any) -> None:
    """Whatever stands in one entry, the others count."""
    reading = read(inbound(batch(odd, entry(auditID="other")), "staging"))
    assert "kubectl-edit" in [made.event.data.manager for made in reading.made]
