"""Whether an object is somebody else's to keep, or to be left alone, by marks that it carries itself.

Setpoint then stands aside and says so: two tools that correct one object fight, and a pause is somebody's decision.
The marks are data (`data/marks.yaml`). A mark is as good as the object that carries it, so who wrote it is told.
"""

from collections.abc import Iterator
from typing import Any

from services.kube.objects import Object, key_of, managed_fields, metadata_of
from services.kube.pointer import to_pointer
from services.kube.writers.ownership import author
from services.kube.writers.trust import shipped

TRACKING = "argocd.argoproj.io/tracking-id"


def claimed_by(live: Object) -> str | None:
    """Whose the object is or why it is paused, in words; None where nobody says so."""
    return next(_claims(live), None)


def _claims(live: Object) -> Iterator[str]:
    marks = shipped("marks.yaml")
    application = argo_application(live)
    if application:
        yield f"Argo CD's application '{application}' owns it"
    for mark in marks["owners"]:
        value = _value(live, mark)
        if value:
            yield f"{mark['owner']} '{value}' owns it"
    writers = {str(entry.get("manager")) for entry in managed_fields(live) if not entry.get("subresource")}
    for mark in marks["managers"]:
        if mark["name"] in writers:
            yield f"{mark['owner']} applies it, as '{mark['name']}'"
    for mark in marks["pauses"]:
        value = _value(live, mark)
        if value is not None and value == mark.get("value", value):
            place, name = _place(mark)
            owner = author(live, to_pointer(("metadata", place, name)))
            yield f"paused by {place.removesuffix('s')} {name}" + (f", set by {owner.manager}" if owner else "")


def is_kept(live: Object) -> bool:
    """True where a mark says that the object stays when nobody declares it any more, as Helm's `keep` does."""
    return any(
        mark["value"] in (part.strip() for part in (_value(live, mark) or "").split(","))
        for mark in shipped("marks.yaml")["kept"]
    )


def argo_application(live: Object) -> str | None:
    """The Argo CD application that tracks the object: only where the mark names this very object and is no copy.

    Format: `<application>:<group>/<Kind>:<namespace>/<name>`.
    """
    annotations = metadata_of(live).get("annotations")
    text = annotations.get(TRACKING) if isinstance(annotations, dict) else None
    parts = text.rsplit(":", 2) if isinstance(text, str) else []
    if len(parts) != 3:
        return None
    key = key_of(live)
    namespace, _, name = parts[2].rpartition("/")
    same = parts[1] == f"{key.group}/{key.kind}" and name == key.name
    return parts[0] if same and (not key.namespace or namespace == key.namespace) else None


def _place(mark: dict[str, Any]) -> tuple[str, str]:
    return ("labels", mark["label"]) if "label" in mark else ("annotations", mark["annotation"])


def _value(live: Object, mark: dict[str, Any]) -> str | None:
    place, name = _place(mark)
    values = metadata_of(live).get(place)
    value = values.get(name) if isinstance(values, dict) else None
    return value if isinstance(value, str) else None
