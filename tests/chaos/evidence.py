"""What is known of an object that is not over, for a failed test's message: how it is, who holds it, what was told.

A run under load cannot be played again exactly, so that its first failure has to say enough.
"""

import json
from collections.abc import Iterable, Iterator

from services.kube.objects import Object, managed_fields
from services.kube.writers.ownership import owned_leaves
from tests.chaos.estate import Estate, Thing
from tests.chaos.settled import Live, subject_of
from tests.chaos.topics import Topics

MOST = 3  # objects that are told of
LAST = 40  # events of each


def evidence(estate: Estate, cluster: str, live: Live, topics: Topics, problems: Iterable[str]) -> Iterator[str]:
    """Lines about the first few objects that `unsettled` has named."""
    named = {problem.partition(": ")[0] for problem in problems}
    found = [thing for thing in estate.things if subject_of(thing, cluster) in named]
    for thing in found[:MOST]:
        subject = subject_of(thing, cluster)
        yield f"--- {subject}"
        yield from _state(thing, live.get(thing.place))
        yield from _story(subject, topics)


def _state(thing: Thing, live: Object | None) -> Iterator[str]:
    if live is None:
        yield "is not there"
        return
    for name in ("data", "spec"):
        if name in thing.manifest:
            yield f"declared {name}: {json.dumps(thing.manifest[name])}"
            yield f"live {name}: {json.dumps(live.get(name))}"
    metadata = live["metadata"]
    yield f"labels {json.dumps(metadata.get('labels'))}, resourceVersion {metadata['resourceVersion']}"
    for entry in managed_fields(live):
        if entry.get("subresource") != "status":
            by = f"{entry.get('manager')} ({entry.get('operation')}, {entry.get('time')})"
            yield f"{by} holds {' '.join(owned_leaves(entry, live))}"


def _story(subject: str, topics: Topics) -> Iterator[str]:
    events = sorted((event for event in topics.events() if event.subject == subject), key=lambda event: event.time)
    for event in events[-LAST:]:
        yield f"{event.time.isoformat()} {event.type} {event.data.model_dump_json(exclude={'target'})[:700]}"
