"""A Secret's values stay inside: no part of them is in an event, a change or what is shown."""

import base64
import json

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from schemas.events import DriftState
from schemas.target import Target
from services.kube.declaration.packing import projection
from services.kube.objects import LAST_APPLIED, Object
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import Finding, judge
from services.runtime.clock import SystemClock
from services.watcher.changes import change_event
from services.watcher.lives import Observed, advance
from tests.properties.cases import DEPLOYER, PERSON, at_once, declare
from tests.properties.edits import done, some_edits
from tests.properties.model import Model
from tests.properties.schemas import schema_of
from tests.strategies import SECRET, SECRET_TEXT, encoded

EXAMPLES = settings(
    max_examples=80, deadline=None, suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)  # fmt: skip
HAND_MADE = "a hand-made value"


def forms(text: str) -> list[str]:
    """A value as it is, as stored, and as stored in part: base64 of any 12 bytes of it that start a group."""
    return [text, encoded(text), *(encoded(text[at : at + 12]) for at in range(0, len(text) - 11, 3))]


@EXAMPLES
@given(data=st.data(), values=st.lists(SECRET_TEXT, min_size=2, max_size=4, unique=True), dry_run=st.booleans())
def test_no_value_of_a_secret_is_told(data: st.DataObject, values: list[str], dry_run: bool) -> None:
    """Declared and live values, plain and encoded, in data, stringData and the annotations where tools keep copies."""
    obj: Object = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "n"},
        "data": {f"k{at}": encoded(value) for at, value in enumerate(values[:-1])}, "stringData": {"s": values[-1]},
    }  # fmt: skip
    stored = {name: value for name, value in obj.items() if name != "stringData"}
    stored["data"] = {**stored["data"], "s": encoded(values[-1])}
    model = Model(schema_of("Secret"))
    model.applied(DEPLOYER, stored)
    before = model.live
    fresh = done(
        model.obj, data.draw(some_edits(stored, model.node, SECRET, frozenset({"changed", "removed", "added"})))
    )
    other = data.draw(SECRET_TEXT)
    fresh["data"] = {**fresh["data"], "k0": encoded(other)}
    copies = {LAST_APPLIED: json.dumps(stored), "kapp.k14s.io/original": json.dumps(stored)}
    fresh["metadata"]["annotations"] = {**fresh["metadata"].get("annotations", {}), **copies}
    model.update(PERSON, fresh)
    declared, live, now = declare(obj), model.live, SystemClock().now()
    finding = at_once(judge(model, declared, live, dry_run=dry_run))  # type: ignore[arg-type]
    target = Target(cluster="c", group="", kind="Secret", namespace="n", name="x", uid="u")
    told = [str(change.model_dump_json()) for change in describe(live, obj, finding.fields, b"key")]
    for one in (finding, Finding(DriftState.MISSING), Finding(None)):
        seen = Observed(target, declared, live, one, "1", now, b"key")
        _, event = advance(None, seen)
        told += [str(event.model_dump_json())] if event else []
    change = change_event(target, projection(before), projection(live), live, None, "1", now)
    assert change
    text = "\n".join([*told, str(change.model_dump_json()), finding.message])
    assert told
    for value in (*values, other, HAND_MADE):
        found = [form for form in forms(value) if form in text]
        assert not found, (found, text)
    assert base64.b64encode(HAND_MADE.encode()).decode() not in text
