"""Whatever an API server or the network does to a watch, the view is right again by itself, and without a busy loop.

Against a small server on loopback that misbehaves as told; waits are those of a clock that does not wait.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.kube.api.discovery import Resource
from services.kube.api.reflector import REFUSED_S, Reflector, Sighting
from services.kube.api.session import Session
from services.runtime.logging import get_log
from services.runtime.metrics import Metrics
from services.runtime.tasks import background
from tests.fakes import StillClock, eventually
from tests.faulty_api import (
    RESOURCE,
    Fault,
    FaultyApi,
    error_event,
    event_line,
    faulty_api,
    refuse,
    say,
    silence,
)  # fmt: skip

SILENCE_S = 0.1


class View:
    """A reflector, and what it has told."""

    def __init__(self, api: FaultyApi, session: Session, resource: Resource = RESOURCE) -> None:
        self.api, self.clock, self.metrics = api, StillClock(), Metrics("watcher")
        self.objects: dict[str, str] = {}
        self.sightings: list[Sighting] = []
        self.raises: list[Exception] = []
        self.reflector = Reflector(
            session, resource, self.sight, clock=self.clock, metrics=self.metrics, log=get_log("test"),
            silence=SILENCE_S,
        )  # fmt: skip

    def sight(self, sighting: Sighting) -> None:
        if self.raises:
            raise self.raises.pop()
        self.sightings.append(sighting)
        if sighting.obj is None:
            self.objects.pop(sighting.key.name, None)
        else:
            self.objects[sighting.key.name] = sighting.obj["data"]["value"]

    async def right(self) -> None:
        """Wait until the view is what is there."""
        await eventually(lambda: self.objects == self.api.values(), what="the view is right")
        assert {key.name for key in self.reflector.known} == set(self.api.objects)

    async def watching(self) -> None:
        """Wait until a proper watch is open."""
        await eventually(lambda: self.api.watches and not self.reflector.trouble, what="a watch is open")

    def counted(self, why: str) -> float:
        """How often the watch was taken up again for a reason."""
        samples = self.metrics.sampled(self.clock.now()).samples
        return sum(sample.value for sample in samples if sample.labels == {"why": why})


@asynccontextmanager
async def viewing(streams: bool) -> AsyncIterator[View]:
    """Three objects, listed, and a watch that is open."""
    async with faulty_api() as (api, session):
        api.streams = streams
        for name in ("a", "b", "c"):
            api.put(name)
        seen = View(api, session)
        async with background(seen.reflector.run()):
            await seen.watching()
            yield seen


@pytest.fixture(params=["pages", "streamed"])
async def view(request: pytest.FixtureRequest) -> AsyncIterator[View]:
    """With a server that lists in pages only, and with one whose watches may begin with a list."""
    async with viewing(request.param == "streamed") as seen:
        yield seen


@pytest.fixture
async def paged() -> AsyncIterator[View]:
    """For what only happens to pages."""
    async with viewing(False) as seen:
        yield seen


@pytest.fixture
async def streamed() -> AsyncIterator[View]:
    """For what only happens to a list that is the beginning of a watch."""
    async with viewing(True) as seen:
        yield seen


async def gap(view: View, *faults: Fault) -> None:
    """Break the watch, let things happen while nobody watches, and meet the next watches with these faults."""
    view.api.next_watch(*faults)
    view.api.cut()
    await eventually(lambda: not view.api.faults["watch"], what="every fault was met")


async def test_a_watch_that_is_cut_goes_on_where_it_was(view: View) -> None:
    """From the last version seen, without a new list; half an event counts for nothing."""
    view.api.put("a", "2")
    await view.right()
    await view.api.cut_mid_line()
    view.api.put("b", "2")
    view.api.delete("c")
    await view.right()
    assert len(view.api.lists) == 1
    assert view.counted("error") == 1


async def test_a_watch_that_goes_silent_is_given_up(view: View) -> None:
    """Nothing comes, not even a bookmark: the line may be dead. What happened meanwhile is seen then."""
    view.api.next_watch(silence)
    view.api.cut()
    await eventually(lambda: not view.api.faults["watch"])
    view.api.put("a", "2")
    await view.right()
    assert view.counted("silent") >= 1


@pytest.mark.parametrize(
    "fault", [pytest.param(refuse(410, "Expired"), id="http"), pytest.param(error_event(410, "Expired"), id="event")]
)
async def test_an_expired_version_means_a_new_list(view: View, fault: Fault) -> None:
    """What vanished while nobody watched is told as gone, since no event ever will."""
    view.api.next_watch(fault)
    view.api.cut()
    view.api.delete("b")
    view.api.put("d")
    view.api.history.clear()  # it has forgotten, as a server that answers 410 has
    await view.right()
    assert [sighting.key.name for sighting in view.sightings if sighting.source == "gone"] == ["b"]
    assert view.counted("expired") == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refuse(429, "TooManyRequests", Retry_After="17"), id="http"),
        pytest.param(error_event(429, "TooManyRequests", retryAfterSeconds=17), id="event"),
    ],
)
async def test_the_servers_own_pace_is_kept(view: View, fault: Fault) -> None:
    """429 says how long to wait; the watch goes on where it was."""
    await gap(view, fault)
    view.api.put("a", "2")
    await view.right()
    assert max(view.clock.slept) >= 17
    assert len(view.api.lists) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(refuse(500, "InternalError"), id="500"),
        pytest.param(refuse(503), id="503"),
        pytest.param(error_event(500, "InternalError"), id="500-as-event"),
        pytest.param(say(), id="200-and-nothing"),
        pytest.param(error_event(410, "Expired"), id="410-again-and-again"),
    ],
)
async def test_a_failure_that_stays_is_met_with_growing_waits(view: View, fault: Fault) -> None:
    """Twelve times in a row costs some 30 s, not some milliseconds; then all is well again."""
    before = len(view.clock.slept)
    await gap(view, *[fault] * 12)
    view.api.put("a", "2")
    view.api.delete("b")
    await view.right()
    waits = view.clock.slept[before:]
    assert sum(waits) > 30
    assert max(waits) <= 10
    await view.watching()
    view.api.put("a", "3")
    await view.right()
    assert view.reflector.backoff.failures == 0


async def test_a_failing_list_is_met_with_growing_waits(view: View) -> None:
    """The same where even the list fails."""
    before = len(view.clock.slept)
    view.api.next_list(*[refuse(500)] * 10)
    view.reflector.relist()
    view.api.delete("a")
    await view.right()
    await eventually(lambda: not view.api.faults["list"])
    assert sum(view.clock.slept[before:]) > 20


async def test_an_empty_answer_to_an_old_version_means_a_new_list(view: View) -> None:
    """Events answer an expired version with 200 and nothing; the version would never become good again."""
    view.api.next_watch(say(), say())
    view.api.cut()
    view.api.delete("b")
    view.api.history.clear()
    await view.right()
    assert view.counted("expired") >= 1


async def test_pages_make_one_list(paged: View) -> None:
    """And deletes are only known when the last page is there."""
    paged.api.page_size = 2
    for number in range(5):
        paged.api.put(f"p{number}")
    await paged.right()
    paged.api.lists.clear()
    paged.reflector.relist()
    await eventually(lambda: len(paged.api.lists) == 4)
    await paged.right()
    assert [sighting for sighting in paged.sightings if sighting.source == "gone"] == []


async def test_a_continue_token_that_expires_means_one_big_list(paged: View) -> None:
    """Where pages take longer than their token lives, the next list comes in one piece."""
    paged.api.page_size = 1

    async def expired(api: FaultyApi, request: Any) -> Any:
        api.delete("b")
        return await refuse(410, "Expired")(api, request)

    async def first(api: FaultyApi, request: Any) -> Any:
        api.next_list(expired)
        return await api.list_page(request)

    paged.api.next_list(first)
    paged.api.lists.clear()
    paged.reflector.relist()
    await paged.right()
    await eventually(lambda: len(paged.api.lists) == 3)
    assert ["limit" in query for query in paged.api.lists] == [True, True, False]
    await paged.watching()
    paged.api.put("d")
    await paged.right()


async def test_an_object_that_only_a_torn_list_saw_is_told_as_gone(paged: View) -> None:
    """A list that fails on its second page has told of objects; they are not forgotten when they vanish."""
    paged.api.page_size = 1
    paged.api.objects = {
        "0": {**paged.api.objects["a"], "metadata": {"name": "0", "namespace": "n"}},
        **paged.api.objects,
    }

    async def second(api: FaultyApi, request: Any) -> Any:
        del api.objects["0"]
        return await refuse(500)(api, request)

    async def first(api: FaultyApi, request: Any) -> Any:
        api.next_list(second)
        return await api.list_page(request)

    paged.api.next_list(first)
    paged.reflector.relist()
    await eventually(lambda: "0" not in paged.api.objects)
    await paged.right()
    assert [sighting.source for sighting in paged.sightings if sighting.key.name == "0"] == ["list", "gone"]


@pytest.mark.parametrize(
    "line", [b"not json", b'{"type":"MODIFIED"}', b'{"type":"MODIFIED","object":{"metadata":{}}}', b"[]", b"null"]
)
async def test_a_line_that_cannot_be_read_means_a_new_list(view: View, line: bytes) -> None:
    """It may have been anything, so what is there is asked for."""
    view.api.next_watch(say(line))
    view.api.cut()
    view.api.delete("b")
    view.api.history.clear()
    await view.right()
    assert len(view.api.lists) > 1


async def test_missing_rights_are_said_and_asked_for_again(view: View) -> None:
    """Slowly; once they are there, the trouble is over."""
    before, troubles = len(view.clock.slept), []
    forbidden = refuse(403, "Forbidden", 'configmaps is forbidden: User "u" cannot list resource')

    async def second(api: FaultyApi, request: Any) -> Any:
        assert view.reflector.refused
        troubles.append(str(view.reflector.trouble))
        return await forbidden(api, request)

    view.api.next_list(forbidden, second)
    view.reflector.relist()
    await eventually(lambda: troubles)
    assert 'User "u" cannot list' in troubles[0]
    view.api.delete("a")
    await view.right()
    assert [wait >= REFUSED_S for wait in view.clock.slept[before:]][:2] == [True, True]
    await eventually(lambda: view.reflector.trouble is None and view.reflector.refused is None)


async def test_a_server_without_streamed_lists_is_asked_once(paged: View) -> None:
    """It refuses, and pages are what it gets from then on, without any wait."""
    assert (paged.api.refused_streams, len(paged.api.lists), paged.clock.slept) == (1, 1, [])
    paged.reflector.relist()
    await eventually(lambda: len(paged.api.lists) == 2)
    assert paged.api.refused_streams == 1


async def test_a_streamed_list_is_one_request_and_goes_on_as_the_watch(streamed: View) -> None:
    """What happens after it is seen without another request; and what is gone is told when a new one is complete."""
    streamed.api.put("a", "2")
    await streamed.right()
    assert (len(streamed.api.lists), streamed.api.versions) == (1, [])
    assert "limit" not in streamed.api.lists[0]
    assert {sighting.source for sighting in streamed.sightings} == {"list", "watch"}


async def test_a_streamed_list_that_breaks_off_tells_nothing_as_gone_and_is_asked_for_in_pages(streamed: View) -> None:
    """Half a list says nothing about the other half. A server that breaks it once may do so again."""

    async def torn(api: FaultyApi, request: Any) -> Any:
        return await api.streamed_list(request, torn_after=1)

    streamed.api.lists.clear()
    streamed.api.next_list(torn)
    streamed.reflector.relist()
    await eventually(lambda: len(streamed.api.lists) == 2)
    await streamed.watching()
    assert ["limit" in query for query in streamed.api.lists] == [False, True]
    assert [sighting for sighting in streamed.sightings if sighting.source == "gone"] == []
    streamed.reflector.relist()
    await eventually(lambda: len(streamed.api.lists) == 3)
    assert "limit" not in streamed.api.lists[2]


async def test_an_object_that_is_deleted_while_a_list_is_streamed_is_gone(streamed: View) -> None:
    """Its end may come before the list's."""

    async def first(api: FaultyApi, request: Any) -> Any:
        doomed = {"kind": "ConfigMap", "apiVersion": "v1", **api.objects["b"]}
        api.delete("b")
        lines = [event_line("ADDED", doomed), event_line("DELETED", doomed)]
        lines += [event_line("ADDED", {"kind": "ConfigMap", "apiVersion": "v1", **api.objects[name]}) for name in "ac"]
        end = {"resourceVersion": str(api.version), "annotations": {"k8s.io/initial-events-end": "true"}}
        return await say(*(line.strip() for line in [*lines, event_line("BOOKMARK", {"metadata": end})]))(api, request)

    streamed.api.next_list(first)
    streamed.reflector.relist()
    await streamed.right()


async def test_lists_take_turns(streamed: View) -> None:
    """A watch whose list is complete gives its turn back; one that waits for its turn has asked for nothing yet."""
    turns, other = asyncio.Semaphore(1), View(streamed.api, streamed.reflector.session)
    other.reflector.turns = turns
    await turns.acquire()
    streamed.api.lists.clear()
    async with background(other.reflector.run()):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert streamed.api.lists == []
        turns.release()
        await other.right()
        assert not turns.locked()


async def test_a_selection_is_asked_for_in_lists_and_watches(view: View) -> None:
    """What leaves it is told as gone, as the server says it."""
    other = View(view.api, view.reflector.session)
    other.reflector.query = {"labelSelector": "app=web"}
    view.api.lists.clear()
    async with background(other.reflector.run()):
        await other.right()
        await other.watching()
    assert [query["labelSelector"] for query in view.api.lists] == ["app=web"]


async def test_a_kind_that_is_gone_takes_its_objects_along(view: View) -> None:
    """404 for the collection: nothing of it exists any more. When it is served again, so is the view."""
    view.api.next_list(*[refuse(404, "NotFound")] * 2)
    view.reflector.relist()
    await eventually(lambda: len(view.api.lists) >= 4)
    await view.right()
    assert {sighting.key.name for sighting in view.sightings if sighting.source == "gone"} == {"a", "b", "c"}


async def test_bookmarks_move_the_version_and_tell_nothing(view: View) -> None:
    """So that a quiet kind does not expire."""
    told = len(view.sightings)
    view.api.bookmark()
    at = view.api.version
    await eventually(lambda: view.reflector.version == str(at))
    view.api.cut()
    await eventually(lambda: view.api.versions[-1:] == [str(at)])
    assert len(view.sightings) == told


async def test_a_version_from_the_future_means_a_new_list(view: View) -> None:
    """A server that was restored from a backup, or lags behind the one before."""
    await gap(view, refuse(504, "Timeout", "Too large resource version: 99, current: 1"))
    await view.right()
    assert len(view.api.lists) == 2


async def test_a_listener_that_fails_does_not_end_the_watch(view: View) -> None:
    """The object is told again by the list that follows."""
    view.raises.append(RuntimeError("a defect"))
    view.api.put("a", "2")
    await view.right()
    assert not view.raises
    assert len(view.api.lists) == 2


async def test_a_relist_that_is_wanted_during_a_list_is_not_forgotten(paged: View) -> None:
    """What it is wanted for may have come after that list's pages."""

    async def slow(api: FaultyApi, request: Any) -> Any:
        paged.reflector.relist()
        return await api.list_page(request)

    paged.api.lists.clear()
    paged.api.next_list(slow)
    paged.reflector.relist()
    await eventually(lambda: len(paged.api.lists) == 2)
    await paged.watching()


async def test_objects_nested_beyond_any_parsers_limit_do_not_hide_the_others(view: View) -> None:
    """Listed and watched: what lies deeper than any manifest goes is read as null."""
    deep = b'{"a":' * 3000 + b"1" + b"}" * 3000
    view.api.raw["d"] = deep
    view.api.put("d", "deep")
    await view.right()
    view.reflector.relist()
    view.api.put("a", "2")
    await view.right()
    assert {sighting.source for sighting in view.sightings if sighting.key.name == "d"} == {"list", "watch"}
    assert len(view.api.lists) == 2


@pytest.mark.parametrize("size", [5_000_000, 20_000_000])
async def test_lines_of_any_length(view: View, size: int) -> None:
    """The client library ends at 4 MiB; objects with large managedFields or many of them do not."""
    view.api.put("a", "x" * size)
    view.api.put("b", "after it")
    await view.right()
    assert len(view.api.lists) == 1


@pytest.mark.parametrize("seed", range(6))
async def test_any_mixture_of_faults_ends_in_the_right_view(view: View, seed: int) -> None:
    """Random writes, cuts and faults, as they come in a bad night."""
    draw = random.Random(seed)
    faults = [refuse(410, "Expired"), refuse(500), error_event(410, "Expired"), error_event(500), say(), say(b"odd"),
              refuse(429, Retry_After="1"), refuse(504, "", "Too large resource version")]  # fmt: skip
    api = view.api
    for number in range(60):
        what = draw.random()
        name = draw.choice("abcdefgh")
        if what < 0.5:
            api.put(name, str(number))
        elif what < 0.7 and name in api.objects:
            api.delete(name)
        elif what < 0.8:
            api.next_watch(draw.choice(faults))
        elif what < 0.9:
            await api.cut_mid_line()
        else:
            api.next_list(draw.choice(faults[:2]))
            view.reflector.relist()
        await asyncio.sleep(draw.choice([0, 0, 0.002]))
    api.page_size = draw.choice([None, 1, 3])
    view.reflector.relist()
    await view.right()
    while api.faults["watch"]:
        api.cut()
        await asyncio.sleep(0.01)
    await view.right()
