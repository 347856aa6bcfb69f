"""Keep what a pod says and is, before something is done to it: its object, its Events, the logs of every container.

Evidence never stands in the way of what comes after it: a log that cannot be had is a fact with the server's own words
in it. Only a missing right, and an API server that is away, are errors. What is kept is bounded: a part is no larger
than a record may be, and of what is too long the end is kept. A pod's own object is no Secret, but what a container
prints is its own affair: who may read these events may read the logs.
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime

import orjson

from schemas.actions import Evidence as Parameters
from schemas.events import EvidenceKept, Reason
from schemas.target import Target
from services.kube.api.errors import ApiError, Forbidden, Unavailable
from services.kube.masking import mask
from services.kube.objects import Object, metadata_of
from services.kube.pointer import resolve
from services.reconciler.acting.failures import VERB
from services.reconciler.actions.base import Rule
from services.reconciler.actions.operation import Applied, Operation, Plan, Scene
from services.reconciler.actions.seen import Seen, named, refused, see, subject
from services.reconciler.guards.base import Denial

PART = 256 * 1024  # bytes of a part's text, as JSON
MOST = 4 * 1024 * 1024  # bytes of it all
AT_ONCE = 4
EVENTS = 500
SETS = (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses"),
        ("ephemeralContainers", "ephemeralContainerStatuses"))  # fmt: skip
Piece = tuple[str, str, str]  # what, name, text


class Evidence(Operation[Parameters]):
    """The action `evidence`."""

    name = "evidence"
    example = 'evidence: {pod: "${event.pod}", lines: 1000}'

    def rules(self, parameters: Parameters) -> tuple[Rule, ...]:
        logs, events = Rule("", "pods/log", ("get",)), Rule("", "events", ("list",))
        return Rule("", "pods", ("get",)), logs, events

    async def plan(self, scene: Scene[Parameters]) -> Plan:
        target = subject(scene)
        words = f"keep evidence of {named(target)}"
        if (target.group, target.kind) != ("", "Pod"):
            return refused(target, words, Reason.PARAMETERS, f"a {target.kind} is no pod")
        found = await see(scene, target)
        if isinstance(found, Denial):
            return Plan(target, words, denial=found)
        return Plan(found.target, words, state=found)

    async def apply(self, plan: Plan, scene: Scene[Parameters]) -> Applied:
        found: Seen = plan.state
        pieces = [("object", "", _object(found.live, scene.mask_key)), ("events", "", await _events(found, scene))]
        pieces += await _logs(found, scene)
        taken = scene.clock.now()
        kept = [one for piece in bounded(pieces, MOST) for one in parts(piece, found.target, scene.action_id, taken)]
        return Applied(facts=tuple(kept), words=f"kept {len(pieces)} texts in {len(kept)} parts")


def bounded(pieces: list[Piece], most: int) -> list[Piece]:
    """The pieces, cut so that all of them come to `most` bytes: what a short one leaves goes to those after it."""
    left, kept = most, []
    for index, (what, name, text) in enumerate(pieces):
        share = left // (len(pieces) - index)
        text = tail(text, share)
        left -= size(text)
        kept.append((what, name, text))
    return kept


def tail(text: str, most: int) -> str:
    """The end of a text, at most so many bytes of it as JSON, with a first line that says what is missing."""
    if size(text) <= most:
        return text
    note = f"[the first of {size(text)} bytes are cut off]\n"
    low, high = 0, len(text)  # how many characters of the end fit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[-middle:]) + size(note) <= most else (low, middle - 1)
    return note + text[len(text) - low :] if low else ""


def size(text: str) -> int:
    """Bytes of a text inside a JSON document."""
    return len(orjson.dumps(text)) - 2


def split(text: str, most: int) -> Iterator[str]:
    """Pieces of at most `most` bytes as JSON; together they are the text. One for an empty text."""
    if size(text) <= most or len(text) == 1:
        yield text
        return
    half = len(text) // 2
    yield from split(text[:half], most)
    yield from split(text[half:], most)


def parts(piece: Piece, target: Target, action_id: str, taken: datetime) -> list[EvidenceKept]:
    """One text as the events that carry it."""
    what, name, text = piece
    texts = list(split(text, PART))
    return [
        EvidenceKept(
            action_id=action_id, target=target, what=what, name=name, part=index, parts=len(texts), text=one,
            taken_at=taken,
        )
        for index, one in enumerate(texts)
    ]  # fmt: skip


def containers(pod: Object) -> list[tuple[str, bool]]:
    """Every container's name, and whether it had a life before this one."""
    found = []
    for specs, states in SETS:
        counts = {one.get("name"): one.get("restartCount") or 0 for one in resolve(pod, ("status", states)) or ()}
        found += [(str(one["name"]), counts.get(one["name"], 0) > 0) for one in resolve(pod, ("spec", specs)) or ()]
    return found


def _object(pod: Object, mask_key: bytes) -> str:
    metadata = {name: value for name, value in metadata_of(pod).items() if name != "managedFields"}
    return orjson.dumps(mask({**pod, "metadata": metadata}, mask_key), option=orjson.OPT_INDENT_2).decode()


async def _logs(found: Seen, scene: Scene[Parameters]) -> list[Piece]:
    places, lines = asyncio.Semaphore(AT_ONCE), scene.parameters.lines

    async def one(container: str, previous: bool) -> Piece:
        async with places:
            try:
                text = await scene.api.log(found.target, container, lines=lines, previous=previous)
            except ApiError as error:
                text = _instead(error)
        return "log", f"{container} (previous)" if previous else container, text

    known = containers(found.live)
    asked = [(name, False) for name, _ in known]
    asked += [(name, True) for name, restarted in known if restarted and scene.parameters.previous]
    answers = await asyncio.gather(*(one(name, previous) for name, previous in asked), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if isinstance(answer, tuple)]


async def _events(found: Seen, scene: Scene[Parameters]) -> str:
    about = f"involvedObject.uid={found.uid}"
    try:
        events = await scene.api.list("", "Event", found.target.namespace, fields=about, most=EVENTS)
    except ApiError as error:
        return _instead(error)
    return "\n".join(sorted(_line(event) for event in events))


def _instead(error: ApiError) -> str:
    """What stands in the place of what could not be had. Raises a missing right, and the API server's absence."""
    if isinstance(error, Forbidden) and VERB.search(error.message):
        raise error
    if type(error) is Unavailable and error.status == 0:
        raise error
    return f"[not to be had: {error.message}]"


def _line(event: Object) -> str:
    when = event.get("lastTimestamp") or event.get("eventTime") or metadata_of(event).get("creationTimestamp")
    count = event.get("count") or resolve(event, ("series", "count")) or 1
    message = " ".join(str(event.get("message") or "").split())
    return f"{when} {event.get('type')} {event.get('reason')} ×{count}: {message}"
