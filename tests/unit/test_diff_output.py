"""`setpoint diff` as people and programs read it: fields, writers, masks, patches, and rules that do nothing."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from schemas.baseline import Baseline, PruneMode
from schemas.events import DriftState, FindingReason
from services.cli.diffdata import FIXES, Report, patches, readable
from services.cli.diffview import LONGEST, ago, contrast, short, show
from services.kube.correction.jsonpatch import patch_for
from services.kube.declaration.baselines import Declared
from services.kube.declaration.packing import Packer
from services.kube.objects import Object, key_of
from services.kube.pointer import FieldDiff
from services.kube.verdict.judge import Finding, unjudged
from services.kube.verdict.ruleuse import RuleUse
from services.kube.verdict.scan import Comparison
from services.kube.verdict.unwanted import PruneRule, Unwanted

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
KEY = b"a key for tests only"


def obj(kind: str = "Deployment", **body: Any) -> Object:
    group = "apps/v1" if kind == "Deployment" else "v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "web", "namespace": "pay"}, **body}


def declared(manifest: Object, *ignore: str) -> Declared:
    packer = Packer()
    key = key_of(manifest)
    return Declared(
        "payments",
        key,
        "v1",
        packer.pack(manifest),
        packer,
        ignore,
        frozenset(),
        None,
        "pay/web.yaml",
        3,
        "d",
        "a" * 40,
    )


def written(live: Object, manager: str, fields: Object, hours: int = 2) -> Object:
    time = (NOW - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
    entries = [{"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}]
    return {**live, "metadata": {**live["metadata"], "managedFields": entries}}


def drawn(*drifted: tuple[Declared, Object | None, Finding], notes: tuple[str, ...] = ()) -> str:
    states = [found for found in drifted if found[2].state is not DriftState.UNJUDGED]
    rest = [found for found in drifted if found[2].state is DriftState.UNJUDGED]
    report = Report("staging", "", ("payments",), Comparison(5, states, rest), KEY, True, 1.25, notes)
    out = StringIO()
    show(Console(file=out, width=200, no_color=True), report, NOW)
    return out.getvalue()


def changed(*fields: FieldDiff) -> Finding:
    return Finding(DriftState.CHANGED, fields, "dry-run")


def test_a_change_shows_object_field_values_and_writer() -> None:
    """One glance: what, where it is declared, from what to what, by whose hand and since when."""
    live = written(obj(spec={"replicas": 1}), "kubectl-scale", {"f:spec": {"f:replicas": {}}})
    text = drawn((declared(obj(spec={"replicas": 3})), live, changed(FieldDiff("/spec/replicas", "changed", 3, 1))))
    assert text.splitlines() == [
        "Comparing baseline payments with context staging",
        "",
        "Deployment pay/web  changed  baseline payments at aaaaaaaaaa, pay/web.yaml:3",
        "  ~ spec.replicas  3 → 1",
        "      by hand: kubectl-scale, 2 h ago (2026-11-24 10:00:00Z)",
        "",
        "5 objects compared: 4 in sync, 1 changed · engine dry-run · 1.2 s",
    ]


def test_fields_of_one_writer_stand_together() -> None:
    """However the engine has sorted them; what nobody is known for has no writer's line."""
    fields: Object = {"f:spec": {"f:a": {}, "f:c": {}}}
    live = written(obj(spec={"a": 1, "b": 1, "c": 1}), "night-shift", fields)
    diffs = [FieldDiff(f"/spec/{name}", "changed", 0, 1) for name in "abc"]
    lines = drawn((declared(obj(spec={"a": 0, "b": 0, "c": 0})), live, changed(*diffs))).splitlines()
    assert [line.split()[1] for line in lines[3:7]] == ["spec.a", "spec.c", "night-shift,", "spec.b"]


def test_texts_of_lines_are_shown_as_their_changed_lines() -> None:
    """Not as two walls of escaped text; long ones are cut, and say so."""
    before, after = "a\nb\nc\n" + "x\n" * 9 + "y\n", "a\nB\nc\n" + "x\n" * 9 + "z\n"
    live = obj("ConfigMap", data={"f": after, "n": "1\n2\n"})
    diffs = (FieldDiff("/data/f", "changed", before, after), FieldDiff("/data/n", "added", None, "1\n2\n"))
    text = drawn((declared(obj("ConfigMap", data={"f": before})), live, changed(*diffs)))
    assert "  ~ data.f\n       a\n      -b\n      +B\n       c\n      …\n       x\n      -y\n      +z\n" in text
    assert "  + data.n\n      +1\n      +2\n" in text
    long = "".join(f"{number}\n" for number in range(40))
    text = drawn((declared(obj("ConfigMap")), live, changed(FieldDiff("/data/f", "added", None, long))))
    assert "… 28 more lines" in text


def test_values_of_secrets_never_show() -> None:
    """Neither in the table, nor in the data, nor in patches."""
    live = obj("Secret", data={"k": "c3RvbGVu"})
    entry = declared(obj("Secret", stringData={"k": "plain-declared"}))
    found = (entry, live, changed(FieldDiff("/data/k", "changed", "ZGVjbGFyZWQ=", "c3RvbGVu")))
    report = Report("c", "", ("b",), Comparison(1, [found]), KEY, True, 0.1)
    text = drawn(found) + str(report.data()) + str(patches([found]))
    assert "hmac:" in text
    assert not any(value in text for value in ("c3RvbGVu", "ZGVjbGFyZWQ", "plain-declared"))
    assert patches([found]) == ([], ["pay/web"])


def test_what_is_not_judged_stands_apart_with_its_fix() -> None:
    """A reason without a way out would only be noise."""
    found = (declared(obj()), None, unjudged(FindingReason.NOT_SERVED, "Deployment is not served as apps/v1"))
    text = drawn(found, notes=("an ignore rule matches no object",))
    assert "Deployment pay/web  not-served  baseline payments" in text
    assert f"Deployment is not served as apps/v1\n    to do: {FIXES[FindingReason.NOT_SERVED]}" in text
    assert "note: an ignore rule matches no object" in text
    assert "6 objects compared: 5 in sync, 1 not judged" in text


def test_what_should_not_be_there_is_told_with_its_label() -> None:
    """It is a difference as well, and no patch can say it."""
    live = obj("ConfigMap")
    labelled = {**live, "metadata": {**live["metadata"], "labels": {"team": "pay"}}}
    rule = PruneRule("payments", PruneMode.REPORT, "team", "pay", "v1", frozenset({"pay"}))
    unwanted = (Unwanted(key_of(live), rule, labelled),)
    report = Report("staging", "", ("payments",), Comparison(5), KEY, True, 0.1, (), unwanted)
    out = StringIO()
    show(Console(file=out, width=200, no_color=True), report, NOW)
    assert (
        "ConfigMap pay/web  unwanted  baseline payments\n    carries team=pay, and no baseline declares it"
        in out.getvalue()
    )
    assert "6 objects compared: 5 in sync, 1 unwanted" in out.getvalue()
    assert report.differs


def test_every_reason_has_a_fix() -> None:
    """A new reason needs one."""
    assert set(FIXES) == set(FindingReason)


@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        pytest.param("/spec/containers/1/image", "spec.containers[side].image", id="item by name"),
        pytest.param("/spec/containers/9", "spec.containers[new]", id="item that is not there"),
        pytest.param("/spec/args/0/x", "spec.args[0].x", id="item without a name"),
        pytest.param("/metadata/annotations/a.b~1c~0d", 'metadata.annotations["a.b/c~d"]', id="odd key"),
        pytest.param("/data/0", "data.0", id="number as a key"),
    ],
)
def test_paths_are_shown_as_people_say_them(pointer: str, text: str) -> None:
    """JSON pointers are for programs."""
    live = {
        "spec": {"containers": [{"name": "web"}, {"name": "side", "image": "x"}], "args": [{"x": 1}]},
        "data": {"0": ""},
    }
    assert readable(pointer, live, {"name": "new"}) == text


def test_long_values_are_cut_where_they_do_not_differ() -> None:
    """Two digests that part at the end must not look alike."""
    one, other = "registry.example.com/" + "a" * 90 + ":1", "registry.example.com/" + "a" * 90 + ":2"
    left, right = contrast(one, other)
    assert left.endswith(":1")
    assert right.endswith(":2")
    assert max(len(left), len(right)) <= LONGEST
    assert contrast("3", "1") == ("3", "1")
    assert short("x" * 100) == "x" * 29 + "…" + "x" * 29
    left, right = contrast("a" * 100, "a" * 100 + "b")
    assert left != right


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (59, "59 s ago"), (60, "1 min ago"), (7200, "2 h ago"), (3 * 86400, "3 d ago"), (-5, "just now")],
)
def test_ages_are_in_the_largest_whole_unit(seconds: int, text: str) -> None:
    """Also where the server's clock is ahead."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_patch_tests_sets_removes_and_appends_in_this_order() -> None:
    """So that no index is shifted before it is used."""
    live = obj(spec={"n": 1, "env": [{"name": "A", "value": "x"}, {"name": "BAD"}], "args": ["a"]})
    finding = changed(
        FieldDiff("/spec/n", "changed", 3, 1),
        FieldDiff("/spec/env/1", "added", None, {"name": "BAD"}),
        FieldDiff("/spec/env/0", "removed", {"name": "NEW"}, None),
        FieldDiff("/spec/deep/er/leaf", "removed", 1, None),
        FieldDiff("/spec/env/0/value", "changed", "y", "x"),
    )
    assert patch_for(declared(obj(spec={})), live, finding) == [
        {"op": "test", "path": "/spec/env/1", "value": {"name": "BAD"}},
        {"op": "test", "path": "/spec/n", "value": 1},
        {"op": "test", "path": "/spec/env/0/value", "value": "x"},
        {"op": "replace", "path": "/spec/n", "value": 3},
        {"op": "add", "path": "/spec/deep", "value": {}},
        {"op": "add", "path": "/spec/deep/er", "value": {}},
        {"op": "add", "path": "/spec/deep/er/leaf", "value": 1},
        {"op": "replace", "path": "/spec/env/0/value", "value": "y"},
        {"op": "remove", "path": "/spec/env/1"},
        {"op": "add", "path": "/spec/env/-", "value": {"name": "NEW"}},
    ]


def test_a_missing_object_is_added_whole() -> None:
    """RFC 6902: the empty pointer is the document."""
    manifest = obj(spec={"n": 1})
    patch = patch_for(declared(manifest), None, Finding(DriftState.MISSING))
    assert patch == [{"op": "add", "path": "", "value": manifest}]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        pytest.param({"path": "/spec/replicas"}, None, id="declared field"),
        pytest.param({"path": "/spec/live"}, None, id="live field"),
        pytest.param({"path": "/spec/list/*/x"}, None, id="any item"),
        pytest.param(
            {"path": "/spec/nope"}, "/spec/nope matches no field that is there now, in 1 object", id="no field"
        ),
        pytest.param(
            {"path": "/spec/replicas", "kind": "StatefulSet"},
            "/spec/replicas (kind StatefulSet) matches no object",
            id="no object",
        ),
    ],
)
def test_a_rule_that_does_nothing_is_told(rule: dict[str, str], told: str | None) -> None:
    """It is usually a spelling mistake, and hides nothing then."""
    spec = {"source": {"folder": "."}, "ignore": [{**rule, "reason": "because"}]}
    header = {"apiVersion": "setpoint.dev/v1alpha1", "kind": "Baseline", "metadata": {"name": "payments"}}
    use = RuleUse([Baseline.model_validate({**header, "spec": spec})])
    use.see(declared(obj(spec={"replicas": 1})), obj(spec={"live": 1, "list": [{"x": 1}]}))
    assert use.idle() == ([f"baseline 'payments': the ignore rule {told}"] if told else [])
