"""The pure parts of the operations: what a plan shows, what is refused, what goes back, what is kept."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.actions import Patch, Scale
from schemas.events import Reason, Verdict
from schemas.target import Target
from services.kube.api.errors import ApiError, Conflict, Forbidden, Invalid, NotFound, TooManyRequests, Unavailable
from services.kube.api.operate import Operate
from services.kube.objects import Object
from services.kube.pointer import parse_pointer, resolve
from services.reconciler.actions.apply_manifest import incomplete, marked
from services.reconciler.actions.diffs import changes
from services.reconciler.actions.drain import sorted_out
from services.reconciler.actions.evictions import evict
from services.reconciler.actions.evidence import bounded, containers, parts, size, split, tail
from services.reconciler.actions.label import reserved
from services.reconciler.actions.operation import MARK
from services.reconciler.actions.patch import annotated, forbidden, inverse, is_back, projected
from services.reconciler.actions.restart import not_rolled, stands_still
from services.reconciler.actions.rights import plural
from services.reconciler.actions.rollback import Revision, chosen, same
from services.reconciler.actions.scale import wanted
from services.reconciler.actions.seen import BEFORE, before_of
from tests.fakes import NOON, StillClock
from tests.operating import scene_of

KEY = b"0123456789abcdef"
NAMES = st.sampled_from(["a", "b", "c", "x/y", "~"])
LEAVES = st.one_of(st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.lists(st.integers(0, 3), max_size=3))
BODIES = st.recursive(st.dictionaries(NAMES, LEAVES, max_size=3), lambda inner: st.dictionaries(NAMES, inner | LEAVES))
PATCHES = st.recursive(
    st.dictionaries(NAMES, LEAVES | st.none(), max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | LEAVES | st.none(), max_size=3),
)


def merged(target: Any, body: Any) -> Any:
    """RFC 7386, as the API server does it."""
    if not isinstance(body, dict):
        return body
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in body.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


# Diffs


@given(live=BODIES, after=BODIES)
def test_a_diff_is_empty_exactly_where_nothing_changes(live: Object, after: Object) -> None:
    """Every change is a place where the two differ, and two that differ have one."""
    found = changes({"data": live}, {"data": after}, KEY)
    assert bool(found) is (live != after)
    for change in found:
        path = parse_pointer(change.path)
        assert resolve({"data": live}, path) != resolve({"data": after}, path)
        assert (change.live, change.desired) == (resolve({"data": live}, path), resolve({"data": after}, path))


def test_the_server_s_own_fields_and_setpoint_s_marks_are_no_change() -> None:
    """They differ from plan to plan of the same doing, so that no approval would ever hold."""
    live = {"metadata": {"name": "a", "resourceVersion": "1", "generation": 1}, "status": {"ready": 1}}
    after = {
        "metadata": {"name": "a", "resourceVersion": "2", "generation": 2, "managedFields": [{}],
                     "annotations": {MARK: "a1", BEFORE: "{}"}},
        "spec": {"template": {"metadata": {"annotations": {MARK: "a1", "seen": "x"}}}},
    }  # fmt: skip
    assert [change.path for change in changes(live, after, KEY)] == ["/spec/template/metadata/annotations/seen"]


@pytest.mark.parametrize("live", [None, {"apiVersion": "v1", "kind": "Secret", "data": {"k": "b2xk"}}],
                         ids=["made", "changed"])  # fmt: skip
def test_a_secret_s_values_are_hashes(live: Object | None) -> None:
    """In the whole object that would be made as well as field by field."""
    after = {"apiVersion": "v1", "kind": "Secret", "data": {"k": "bmV3"}, "stringData": {"p": "plain"}}
    text = repr(changes(live, after, KEY))
    assert "hmac:" in text
    assert not any(value in text for value in ("b2xk", "bmV3", "'plain'"))


# Patches


@given(live=BODIES, body=PATCHES)
def test_the_inverse_of_a_merge_puts_everything_back(live: Object, body: Object) -> None:
    """Whatever a merge patch adds, changes or removes; only empty maps may stay where there was nothing."""
    assert merged(merged(live, body), inverse(body, live)) == live


@given(live=BODIES, body=PATCHES)
def test_what_was_put_back_is_seen_as_such(live: Object, body: Object) -> None:
    """So that an undo after a crash right behind its write finds nothing more to do, and no change of somebody else."""
    back = inverse(body, live)
    assert is_back(back, merged(merged(live, body), back))


@given(live=BODIES, body=PATCHES)
def test_what_a_merge_has_set_is_seen_until_somebody_changes_it(live: Object, body: Object) -> None:
    """The same places are looked at after the write and before the undo."""
    after = merged(live, body)
    assert projected(body, after) == projected(body, json.loads(json.dumps(after)))
    assert projected(body, after) == projected(body, merged(after, projected(body, after)))


@pytest.mark.parametrize(("parameters", "place"), [
    pytest.param({"merge": {"spec": {"replicas": 1}}}, None, id="spec"),
    pytest.param({"merge": {"metadata": {"labels": {"a": "b"}}}}, None, id="labels"),
    pytest.param({"merge": {"metadata": {"annotations": {"a": None}}}}, None, id="annotation"),
    pytest.param({"merge": {"metadata": {"annotations": None}}}, "/metadata/annotations", id="all-annotations"),
    pytest.param({"merge": {"metadata": {"annotations": {MARK: "x"}}}}, "/metadata/annotations/setpoint.dev~1action",
                 id="mark"),
    pytest.param({"merge": {"metadata": {"uid": "x"}}}, "/metadata/uid", id="uid"),
    pytest.param({"merge": {"metadata": {"name": "x"}}}, "/metadata/name", id="name"),
    pytest.param({"merge": {"status": {"phase": "x"}}}, "/status/phase", id="status"),
    pytest.param({"merge": {}}, "/", id="nothing"),
    pytest.param({"json": [{"op": "replace", "path": "/spec/a", "value": 1}]}, None, id="operation"),
    pytest.param({"json": [{"op": "test", "path": "/metadata/uid", "value": "x"}]}, None, id="test"),
    pytest.param({"json": [{"op": "replace", "path": "", "value": {}}]}, "/", id="whole"),
    pytest.param({"json": [{"op": "remove", "path": "/metadata"}]}, "/metadata", id="metadata"),
    pytest.param({"json": [{"op": "move", "path": "/spec/a", "from": "/metadata/name"}]}, "/metadata/name", id="from"),
    pytest.param({"json": [{"op": "remove", "path": "/metadata/annotations"}]}, "/metadata/annotations", id="marks"),
])  # fmt: skip
def test_a_patch_keeps_off_identity_status_and_marks(parameters: dict[str, Any], place: str | None) -> None:
    """Who an object is, what its controller says, and Setpoint's own notes are not a policy's to write."""
    assert forbidden(Patch.model_validate({"object": "Pod/a/b", **parameters})) == place


def test_marks_join_the_annotations_that_a_patch_sets() -> None:
    """Neither replaces the other, and the policy's own document is left as it is."""
    body = {"metadata": {"annotations": {"a": "b"}}}
    assert annotated(body, {MARK: "x"})["metadata"]["annotations"] == {"a": "b", MARK: "x"}
    assert body == {"metadata": {"annotations": {"a": "b"}}}


# Labels


@pytest.mark.parametrize(("key", "refused"), [
    ("team", False), ("example.org/team", False), ("app.kubernetes.io/version", False),
    ("pod-security.kubernetes.io/enforce", False), ("cluster-autoscaler.kubernetes.io/safe-to-evict", False),
    ("node.kubernetes.io/exclude-from-external-load-balancers", False), ("kubernetes.io/change-cause", False),
    ("notkubernetes.io/x", False), ("setpoint.dev/action", True), ("x.setpoint.dev/y", True),
    ("kubernetes.io/hostname", True), ("node.kubernetes.io/instance-type", True), ("node-role.kubernetes.io/x", True),
    ("kubectl.kubernetes.io/last-applied-configuration", True), ("Kubernetes.io/hostname", True), ("k8s.io/a", True),
])  # fmt: skip
def test_reserved_keys_are_refused(key: str, refused: bool) -> None:
    """What Kubernetes keeps for its components, less what is made for users."""
    assert bool(reserved({key})) is refused


# Scale


@pytest.mark.parametrize(("parameters", "now", "to"), [
    pytest.param({"replicas": 4}, 2, 4, id="number"),
    pytest.param({"replicas": 0}, 2, 0, id="zero"),
    pytest.param({"replicas": 101}, 2, None, id="above"),
    pytest.param({"replicas": 1, "min": 2}, 2, None, id="below"),
    pytest.param({"by": 2}, 2, 4, id="more"),
    pytest.param({"by": -5}, 2, 0, id="never-negative"),
    pytest.param({"by": 9, "max": 6}, 2, 6, id="stops-at-max"),
    pytest.param({"by": -9, "min": 1}, 2, 1, id="stops-at-min"),
    pytest.param({"by": 1, "max": 6}, 8, 8, id="never-against-its-direction"),
])  # fmt: skip
def test_replicas_stay_within_bounds(parameters: dict[str, Any], now: int, to: int | None) -> None:
    """A change stops at a bound; a number outside is refused in words."""
    found = wanted(Scale.model_validate({"workload": "Deployment/a/b", **parameters}), now)
    assert found == to if to is not None else isinstance(found, str)


# Roll-outs


HISTORY = [Revision(number, name, {"spec": {"containers": [name]}}) for number, name in ((1, "a"), (2, "b"), (5, "c"))]


@pytest.mark.parametrize(("number", "left", "name"), [
    pytest.param(None, [], "b", id="the-one-before"), pytest.param(None, ["b"], "a", id="not-one-that-was-left"),
    pytest.param(None, ["a", "b"], None, id="none-is-good"), pytest.param(1, [], "a", id="by-number"),
    pytest.param(1, ["a"], "a", id="by-number-even-if-left"), pytest.param(3, [], None, id="no-such-number"),
])  # fmt: skip
def test_a_rollback_chooses_a_revision(number: int | None, left: list[str], name: str | None) -> None:
    """The newest earlier one that was not rolled back from, or the one that is named."""
    found = chosen(HISTORY, number, left)
    assert found.name == name if isinstance(found, Revision) else name is None


def test_templates_are_the_same_whatever_controllers_add() -> None:
    """A ReplicaSet's hash, and the directive in a ControllerRevision."""
    bare = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": []}}
    kept = {**bare, "$patch": "replace", "metadata": {"labels": {"app": "a", "pod-template-hash": "1"},
                                                      "creationTimestamp": None}}  # fmt: skip
    assert same(bare, kept)
    assert not same(bare, {**bare, "spec": {"containers": [1]}})


@pytest.mark.parametrize(("spec", "reason"), [
    pytest.param({"paused": True}, Reason.SUSPENDED, id="paused"),
    pytest.param({"updateStrategy": {"type": "OnDelete"}}, Reason.PARAMETERS, id="on-delete"),
    pytest.param({"updateStrategy": {"type": "RollingUpdate"}}, None, id="rolls"),
])  # fmt: skip
def test_what_would_not_roll_is_refused(spec: Object, reason: Reason | None) -> None:
    """A stamp that rolls nothing would be called a success."""
    denial = stands_still({"spec": spec})
    assert (denial and denial.reason) == reason


def test_a_rollout_is_restarted_once_its_controller_says_so() -> None:
    """Argo's controller repeats the time when every pod is younger than it."""
    live = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": {"restartAt": "t2"}}
    assert not_rolled({**live, "status": {"restartedAt": "t1"}})
    assert not_rolled({**live, "status": {"restartedAt": "t2"}}) is None


# Pods


def pod(name: str = "p", owner: str | None = "ReplicaSet", phase: str = "Running", *, ending: bool = False,
        volumes: tuple[Any, ...] = (), **metadata: Any) -> Object:  # fmt: skip
    owners = [{"kind": owner, "name": "o", "uid": "o", "controller": True}] if owner else []
    own = {"name": name, "namespace": "n", "uid": name, "ownerReferences": owners, **metadata}
    own |= {"deletionTimestamp": "2026-11-24T12:00:00Z"} if ending else {}
    return {"metadata": own, "spec": {"volumes": list(volumes)}, "status": {"phase": phase}}


TMP = ({"name": "tmp", "emptyDir": {}},)


@pytest.mark.parametrize(("one", "empty_dir", "where"), [
    pytest.param(pod(), False, "going", id="replica"),
    pytest.param(pod(owner="DaemonSet"), False, "stays", id="daemon"),
    pytest.param(pod(owner="Node"), False, "stays", id="static"),
    pytest.param(pod(annotations={"kubernetes.io/config.mirror": "x"}), False, "stays", id="mirror"),
    pytest.param(pod(phase="Succeeded"), False, "stays", id="completed"),
    pytest.param(pod(owner=None, phase="Failed"), False, "stays", id="failed"),
    pytest.param(pod(owner=None), True, "held", id="standalone"),
    pytest.param(pod(volumes=TMP), False, "held", id="empty-dir"),
    pytest.param(pod(volumes=TMP), True, "going", id="empty-dir-given-up"),
    pytest.param(pod(owner=None, ending=True), False, "going", id="ending-anyway"),
])  # fmt: skip
def test_a_drain_sorts_pods_by_what_becomes_of_them(one: Object, empty_dir: bool, where: str) -> None:
    """What stays by its nature, what would be lost, and what goes."""
    pods = sorted_out([one], empty_dir)
    found = "going" if pods.going else "held" if pods.held else "stays"
    assert found == where


@dataclass
class Refusing:
    """An API server with one answer to evictions."""

    error: ApiError | None
    name: str = "c1"
    asked: list[str] = field(default_factory=list)

    async def evict(self, target: Target, *, uid: str, grace: int | None = None, dry_run: bool = False) -> None:
        self.asked.append(uid)
        if self.error:
            raise self.error


BUDGET = "Cannot evict pod as it would violate the pod's disruption budget."
STRIMZI = 'admission webhook "c.strimzi.io" denied the request: The pod will be rolled by the Strimzi Cluster Operator'
BROKER = pod(labels={"strimzi.io/kind": "Kafka"})


@pytest.mark.parametrize(("one", "error", "reason", "seconds"), [
    pytest.param(pod(), None, None, None, id="on-its-way"),
    pytest.param(pod(), NotFound("gone", 404), None, None, id="gone"),
    pytest.param(pod(), Conflict("another uid", 409), None, None, id="another-uid"),
    pytest.param(pod(), TooManyRequests(BUDGET, 429), Reason.DISRUPTION_BUDGET, 10, id="budget"),
    pytest.param(pod(), TooManyRequests(BUDGET, 429, retry_after=7), Reason.DISRUPTION_BUDGET, 7, id="retry-after"),
    pytest.param(pod(), TooManyRequests('admission webhook "x" denied the request: busy', 429), Reason.LATER, 10,
                 id="webhook-says-later"),
    pytest.param(BROKER, Unavailable(STRIMZI, 500), Reason.LATER, 60, id="drain-cleaner"),
    pytest.param(BROKER, Invalid(STRIMZI, 403), Reason.LATER, 60, id="drain-cleaner-403"),
    pytest.param(BROKER, TooManyRequests(BUDGET, 429), Reason.LATER, 60, id="drain-cleaner-legacy"),
    pytest.param(pod(), Unavailable("This pod has more than one PodDisruptionBudget, which the eviction subresource "
                                    "does not support.", 500), Reason.DISRUPTION_BUDGET, None, id="two-budgets"),
])  # fmt: skip
async def test_an_eviction_s_answer_is_understood(
    one: Object, error: ApiError | None, reason: Reason | None, seconds: int | None
) -> None:
    """Not now is told apart from never and from gone; with the time when it may be asked again."""
    api = Refusing(error)
    scene = scene_of(cast(Operate, api), "delete-pod", {"pod": "Pod/n/p"}, clock=StillClock())
    denial = await evict(one, Target(cluster="c1", group="", kind="Pod", namespace="n", name="p"), scene)
    assert api.asked == ["p"]
    assert (denial and denial.reason) == reason
    until = None if seconds is None else NOON + timedelta(seconds=seconds)
    assert (denial and denial.until) == until
    assert denial is None or denial.verdict is (Verdict.WAIT if until else Verdict.DENY)


@pytest.mark.parametrize("error", [
    pytest.param(TooManyRequests("Too many requests, please try again later.", 429), id="rate-limit"),
    pytest.param(Forbidden('User "x" cannot create resource "pods/eviction"', 403), id="no-right"),
    pytest.param(Unavailable("no answer", 0), id="away"),
    pytest.param(Invalid('admission webhook "x" denied the request: no', 403), id="webhook-says-no"),
])  # fmt: skip
async def test_an_answer_that_is_no_later_is_an_error(error: ApiError) -> None:
    """Also for a pod of Strimzi's: what is wrong is not put off."""
    scene = scene_of(cast(Operate, Refusing(error)), "delete-pod", {"pod": "Pod/n/p"}, clock=StillClock())
    with pytest.raises(type(error)):
        await evict(BROKER, Target(cluster="c1", group="", kind="Pod", namespace="n", name="p"), scene)


# Manifests


@pytest.mark.parametrize(("metadata", "namespaced", "fine"), [
    ({"name": "a", "namespace": "b"}, True, True), ({"name": "a"}, True, False), ({"name": "a"}, False, True),
    ({"name": "a", "namespace": "b"}, False, False), ({"namespace": "b"}, True, False),
])  # fmt: skip
def test_a_manifest_names_its_object_in_full(metadata: Object, namespaced: bool, fine: bool) -> None:
    """No namespace is guessed."""
    assert (incomplete({"kind": "X", "metadata": metadata}, namespaced) is None) is fine


def test_a_manifest_cannot_bring_a_mark_of_its_own() -> None:
    """The mark says whose doing it is, so nobody else may write it."""
    sent = marked({"metadata": {"annotations": {MARK: "forged", "a": "b"}}}, {MARK: "a1", BEFORE: None})
    assert sent["metadata"]["annotations"] == {"a": "b", MARK: "a1"}


@pytest.mark.parametrize("note", ["", "no json", "[1]", '"x"'])
def test_a_note_that_somebody_has_spoilt_is_no_note(note: str) -> None:
    """Annotations are anybody's to write."""
    assert before_of({"metadata": {"annotations": {BEFORE: note}}}) == {}


@pytest.mark.parametrize(("kind", "name"), [
    ("Pod", "pods"), ("NetworkPolicy", "networkpolicies"), ("Ingress", "ingresses"), ("Endpoints", "endpoints"),
    ("Gateway", "gateways"), ("ResourceQuota", "resourcequotas"), ("StorageClass", "storageclasses"),
    ("CiliumNetworkPolicy", "ciliumnetworkpolicies"), ("HelmRelease", "helmreleases"),
])  # fmt: skip
def test_kinds_have_plurals(kind: str, name: str) -> None:
    """As paths and roles spell them."""
    assert plural(kind) == name


# Evidence


@given(text=st.text(max_size=200), most=st.integers(12, 60))
def test_parts_are_small_and_together_the_text(text: str, most: int) -> None:
    """Counted as JSON, in which one character may be six bytes and more."""
    pieces = list(split(text, most))
    assert "".join(pieces) == text
    assert all(size(piece) <= most for piece in pieces)


@given(text=st.text(max_size=300), most=st.integers(0, 200))
def test_of_what_is_too_long_the_end_is_kept(text: str, most: int) -> None:
    """The end of a log is why it ended."""
    kept = tail(text, most)
    assert size(kept) <= most
    assert kept == text or kept == "" or text.endswith(kept.split("are cut off]\n", 1)[1])
    assert kept == text or size(text) > most


@given(texts=st.lists(st.text(max_size=100), max_size=6), most=st.integers(0, 300))
def test_all_of_it_is_bounded(texts: list[str], most: int) -> None:
    """However many containers there are; nothing is cut where everything fits."""
    kept = bounded([("log", str(index), text) for index, text in enumerate(texts)], most)
    assert len(kept) == len(texts)
    assert sum(size(text) for _, _, text in kept) <= most
    if len(texts) * max(map(size, texts), default=0) <= most:
        assert [text for _, _, text in kept] == texts


def test_parts_are_counted() -> None:
    """A reader knows how many there are, and which this is."""
    target = Target(cluster="c1", group="", kind="Pod", namespace="n", name="p")
    found = parts(("log", "web", "x" * 600_000), target, "a1", datetime(2026, 11, 24, tzinfo=UTC))
    assert [(one.part, one.parts) for one in found] == [(index, len(found)) for index in range(len(found))]
    assert len(found) > 2
    assert "".join(one.text for one in found) == "x" * 600_000


def test_every_container_is_asked_and_its_former_life_where_it_had_one() -> None:
    """Init containers and those that were added later as well."""
    found = containers({
        "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}],
                 "ephemeralContainers": [{"name": "e"}]},
        "status": {"containerStatuses": [{"name": "b", "restartCount": 2}, {"name": "a", "restartCount": 0}]},
    })  # fmt: skip
    assert found == [("i", False), ("a", False), ("b", True), ("e", False)]
