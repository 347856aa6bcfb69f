"""Harbor, GitHub, GitLab, Jenkins and CloudEvents: one life for one failure, and nothing odd that raises.

What each makes of a whole payload stands in tests/contract/payloads.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.source import Inbound, Reading, Sender, Unreadable
from services.gateway.sources import SOURCES, gitlab
from tests.contract.test_sources import PAYLOADS

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINE = ("harbor", "github", "gitlab", "jenkins", "cloudevents")
Body = dict[str, Any]


def sample(name: str) -> tuple[str, Body, dict[str, str]]:
    """A golden payload with its source and headers."""
    file = PAYLOADS / f"{name}.json"
    beside = file.with_suffix(".headers.json")
    headers = json.loads(beside.read_bytes()) if beside.exists() else {}
    return name.partition("/")[0], json.loads(file.read_bytes()), headers


def reading(
    name: str, change: Callable[[Body], object] = lambda body: None, sender: Sender | None = None, late: int = 0
) -> Reading:
    """What a golden payload says after `change`, `late` seconds after noon."""
    source, body, headers = sample(name)
    change(body)
    now = NOON + timedelta(seconds=late)
    return SOURCES[source].read(Inbound(json.dumps(body).encode(), headers, sender or Sender("staging"), now))


def lives(found: Reading) -> list[str]:
    return [made.event.data.alert_id for made in found.made]


@pytest.mark.parametrize(
    ("failed", "ended"),
    [
        ("github/deployment-failed", "github/deployment-succeeded"),
        ("github/workflow-failed", "github/workflow-succeeded-at-last"),
        ("gitlab/deployment-failed", "gitlab/deployment-succeeded"),
        ("gitlab/pipeline-failed", "gitlab/pipeline-succeeded-after-all"),
        ("jenkins/failed", "jenkins/succeeded"),
        ("cloudevents/firing", "cloudevents/resolved"),
    ],
)
def test_a_success_ends_the_failure_that_it_surely_ends(failed: str, ended: str) -> None:
    """Of the same life and about the same object, and whichever comes first."""
    began, over = reading(failed), reading(ended)
    assert lives(began)[0] in lives(over)
    assert {made.event.subject for made in over.made} == {began.made[0].event.subject}
    assert (began.made[0].event.data.lasting, over.made[0].event.type) == (True, "dev.setpoint.alert.resolved.v1")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        pytest.param("github/deployment-failed", lambda b: b["deployment"].update(id=1), id="deployment"),
        pytest.param("github/workflow-failed", lambda b: b["workflow_run"].update(run_attempt=3), id="attempt"),
        pytest.param("github/workflow-failed", lambda b: b["repository"].update(full_name="a/b"), id="repository"),
        pytest.param("gitlab/pipeline-failed", lambda b: b["object_attributes"].update(id=1), id="pipeline"),
        pytest.param("gitlab/deployment-failed", lambda b: b["project"].update(path_with_namespace="a"), id="project"),
        pytest.param("jenkins/failed", lambda b: b["build"].update(number=17), id="build"),
        pytest.param("jenkins/failed", lambda b: b.update(url="job/other/"), id="job"),
        pytest.param("harbor/quota-exceeded", lambda b: b.update(occur_at=b["occur_at"] + 1), id="quota-time"),
        pytest.param(
            "harbor/scan-completed", lambda b: b["event_data"]["resources"][0].update(digest="sha256:ff"), id="digest"
        ),
        pytest.param("cloudevents/happened", lambda b: b.update(id="b-2"), id="event-id"),
        pytest.param("cloudevents/firing", lambda b: b["data"].update(startsAt="2026-11-24T11:58:01Z"), id="start"),
    ],
)  # fmt: skip
def test_another_failure_is_another_life(name: str, change: Callable[[Body], object]) -> None:
    """A policy that acted on the first must hear of the second."""
    assert lives(reading(name)) != lives(reading(name, change))


@pytest.mark.parametrize("name", [f"{path.parent.name}/{path.name.removesuffix('.expected.json')}"
                                  for source in MINE for path in sorted((PAYLOADS / source).glob("*.expected.json"))
                                  if b'"id"' in path.read_bytes()])  # fmt: skip
def test_what_comes_again_is_the_same(name: str) -> None:
    """Senders repeat what they got no answer to, and a signed delivery can be replayed within its five minutes."""
    first, again = reading(name), reading(name, late=240)
    assert [made.event.id for made in first.made] == [made.event.id for made in again.made]


def test_both_formats_of_harbor_say_the_same() -> None:
    """A project may have a webhook of each; and the same result of a later scan is no news."""
    assert lives(reading("harbor/scan-completed")) == lives(reading("harbor/scan-completed-again-as-cloudevent"))


def test_a_success_at_once_ends_nothing() -> None:
    """Otherwise each success would be told as the end of something."""
    assert not reading("github/workflow-succeeded-at-once").made


def test_a_success_ends_a_bounded_number_of_attempts() -> None:
    """Whatever number somebody writes there."""
    many = reading("github/workflow-succeeded-at-last", lambda body: body["workflow_run"].update(run_attempt=10**9))
    assert len(set(lives(many))) == 10


@pytest.mark.parametrize(
    ("name", "put"),
    [
        pytest.param("github/deployment-failed", lambda b, v: b["deployment"].update(payload=v), id="github"),
        pytest.param("jenkins/failed", lambda b, v: b["build"].update(parameters=v), id="jenkins"),
        pytest.param(
            "gitlab/pipeline-failed",
            lambda b, v: b["object_attributes"].update(variables=[{"key": k, "value": w} for k, w in v.items()]),
            id="gitlab",
        ),
    ],
)
def test_parameters_name_the_object_and_tell_nothing_else(name: str, put: Callable[[Body, Body], object]) -> None:
    """They may hold passwords, which must not become labels."""
    said = {"NAMESPACE": "pay", "Deployment": "api", "CLUSTER": "prod-eu", "PASSWORD": "hunter2"}
    found = reading(name, lambda body: put(body, said), Sender("ci", ("prod-*",)))
    (made,) = found.made
    assert (made.key, made.event.subject) == ("prod-eu", "prod-eu/apps/Deployment/pay/api")
    assert "hunter2" not in made.event.model_dump_json()


@pytest.mark.parametrize("source", MINE)
def test_a_sender_of_several_clusters_must_say_which(source: str) -> None:
    """And may not name one that is not its own."""
    failing = {"harbor": "scan-completed", "github": "deployment-failed", "gitlab": "pipeline-failed",
               "jenkins": "failed", "cloudevents": "happened"}  # fmt: skip
    found = reading(f"{source}/{failing[source]}", sender=Sender("central", ("prod-*",)))
    assert (found.made, found.passed_over) == ((), {"cluster": 1})


@pytest.mark.parametrize(
    ("told", "found"),
    [
        pytest.param("2026-11-24 12:50:00 +0100", "2026-11-24T11:50:00+00:00", id="offset"),
        pytest.param("2026-11-24 11:50:00 UTC", "2026-11-24T11:50:00+00:00", id="utc"),
        pytest.param("2026-11-24T11:50:00.123Z", "2026-11-24T11:50:00.123000+00:00", id="rfc3339"),
        pytest.param("2026-11-24 11:50:00", None, id="no-zone"),
        pytest.param("yesterday UTC", None, id="no-time"),
        pytest.param(1795521000, None, id="number"),
    ],
)
def test_gitlab_has_three_ways_to_write_a_time(told: object, found: str | None) -> None:
    """By version and event."""
    time = gitlab.time_of(told)
    assert (time.isoformat() if time else None) == found


@pytest.mark.parametrize("source", MINE)
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"payload=%7B%7D", id="form"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"a":' * 900 + b"1" + b"}" * 900, id="deep-and-whole"),
        pytest.param(b'{"type": "\xff"}', id="not-utf-8"),
        pytest.param(b'"private-word"', id="text"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"private-word": NaN}', id="nan"),
    ],
)
def test_another_body_is_refused_without_quoting_it(source: str, body: bytes) -> None:
    """The message goes back to whoever sent it."""
    headers = {"x-github-event": "deployment_status", "content-type": "application/cloudevents+json"}
    inbound = Inbound(body, headers, Sender("c"), NOON)
    with pytest.raises(Unreadable) as raised:
        SOURCES[source].read(inbound)
    assert "private-word" not in str(raised.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything within a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, inner in steps for place in places(inner, (*path, step)))]


@pytest.mark.parametrize("name", ["harbor/scan-completed", "harbor/replication-failed", "github/deployment-failed",
                                  "github/workflow-succeeded-at-last", "gitlab/pipeline-failed", "jenkins/failed",
                                  "gitlab/deployment-failed", "cloudevents/firing", "cloudevents/batch"])  # fmt: skip
@given(data=st.data())
def test_one_odd_field_never_raises(name: str, data: st.DataObject) -> None:
    """Whatever stands in its place: it is refused or it makes events that can be written."""
    source, body, headers = sample(name)
    *path, last = data.draw(st.sampled_from(places(body)[1:]))
    holder: Any = body
    for step in path:
        holder = holder[step]
    holder[last] = data.draw(JSON)
    try:
        found = SOURCES[source].read(Inbound(json.dumps(body).encode(), headers, Sender("c"), NOON))
    except Unreadable:
        return
    for made in found.made:
        assert made.event.subject.count("/") == 4
        assert made.event.model_dump_json().isprintable()


def test_a_binary_event_is_what_its_headers_say() -> None:
    """Without data it is still an event; without the one header that must be there it is none."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "org.example%2Edisk"}
    inbound = Inbound(b"", headers, Sender("c"), NOON)
    (made,) = SOURCES["cloudevents"].read(inbound).made
    assert made.event.data.name == "org.example.disk"
    with pytest.raises(Unreadable):
        SOURCES["cloudevents"].read(Inbound(b"{}", {**headers, "ce-specversion": "0.3"}, Sender("c"), NOON))
