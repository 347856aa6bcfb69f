"""Objects of which managedFields says nothing at all: who wrote what cannot be proven there.

The server keeps no managedFields where somebody has wiped them, nor where an apply declared nothing but a name, and
then notes no later write either. So that nobody can hide an addition by wiping them, everything in such an object that
is not declared is looked at, with an unknown author; what the server and its controllers put there is sorted out as
anywhere else.
"""

from collections.abc import Iterator
from typing import Any

from services.kube.objects import Object, managed_fields, metadata_of
from services.kube.pointer import Segments, matches

# What the first server-side apply calls the state that it found where nothing was tracked.
NOBODY = "before-first-apply"
JOB_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")
# What the server and its controllers fill in while an object is made, and what can hardly be changed by anybody later:
# with nobody to ask for its author it is theirs. `*` stands for any one segment.
MADE_WITH_IT: dict[tuple[str, str], tuple[Segments, ...]] = {
    ("v1", "Service"): (
        *(("spec", name) for name in ("clusterIP", "clusterIPs", "healthCheckNodePort")),
        ("spec", "ports", "*", "nodePort"),
    ),
    ("batch/v1", "Job"): (
        ("spec", "selector"),
        *(("metadata", "labels", name) for name in JOB_LABELS),
        *(("spec", "template", "metadata", "labels", name) for name in JOB_LABELS),
    ),
    ("v1", "Pod"): (
        *(("spec", name) for name in ("nodeName", "priority", "serviceAccountName", "tolerations", "volumes")),
        *(("spec", name, "*", "volumeMounts") for name in ("containers", "initContainers")),
    ),
}
APART = ("apiVersion", "kind", "metadata", "status")
MARKS = ("labels", "annotations")
MAX_DEPTH = 100


def is_untracked(live: Object) -> bool:
    """True where no entry names anybody. An object without a uid was never stored, so nothing is missing there."""
    return next(managed_fields(live), None) is None and "uid" in metadata_of(live)


def came_with_it(live: Object, leaf: Segments) -> bool:
    """True for what is in every object of its kind without anybody's doing."""
    made = MADE_WITH_IT.get((str(live.get("apiVersion")), str(live.get("kind"))), ())
    return any(matches(pattern, leaf) for pattern in made)


def every_leaf(live: Object) -> Iterator[Segments]:
    """The paths of all values that people declare; a list counts as one, unless it holds maps."""
    for name, value in live.items():
        if name not in APART:
            yield from _leaves(value, (name,))
    for name in MARKS:
        marks = metadata_of(live).get(name)
        if isinstance(marks, dict):
            yield from (("metadata", name, str(key)) for key in marks)


def _leaves(value: Any, path: Segments) -> Iterator[Segments]:
    if isinstance(value, dict) and value and len(path) < MAX_DEPTH:
        for name, child in value.items():
            yield from _leaves(child, (*path, str(name)))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value) and len(path) < MAX_DEPTH:
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, str(index)))
    else:
        yield path
