"""Following a Falco pod's log, on an endpoint that speaks as the API server does: none lost, none told twice."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import structlog

from schemas.events import Event
from services.kube.api.session import Session
from services.runtime.errors import Temporary
from services.runtime.metrics import Metrics
from services.runtime.tasks import background
from services.watcher.falco.follow import pod_of
from services.watcher.falco.follower import Desk, Follower, Pod
from tests.fakes import NOON, StillClock, eventually
from tests.falco_logs import LogApi, alert, log_api
from tests.troubled import container, pod

PATH = "/api/v1/namespaces/falco/pods/falco-1"
SINCE = NOON - timedelta(minutes=5)


class World:
    """The endpoint, what was published, and followers on it."""

    def __init__(self, api: LogApi, session: Session) -> None:
        self.api, self.published, self.failures = api, list[int](), 0
        self.desk = Desk(
            session, "prod", self.publish, StillClock(), Metrics("watcher"), structlog.get_logger(service="test")
        )  # fmt: skip

    async def publish(self, events: Sequence[Event[Any]]) -> None:
        if self.failures:
            self.failures -= 1
            raise Temporary("the broker is away")
        self.published += [event.data.values["proc.pid"] for event in events]

    def follower(self, starts: int = 0) -> Follower:
        return Follower(Pod(PATH, "u-1", "falco", starts), SINCE, self.desk)

    @asynccontextmanager
    async def following(self, starts: int = 0) -> AsyncIterator[Follower]:
        follower = self.follower(starts)
        async with background(follower.run()):
            yield follower

    async def until(self, *numbers: int) -> None:
        await eventually(lambda: len(self.published) >= len(numbers), what=f"{numbers} of {self.published}")
        assert self.published == list(numbers)

    def counted(self, result: str) -> float:
        """Of lines of that kind."""
        name = "setpoint_log_lines_total"
        return self.desk.metrics.registry.get_sample_value(name, {"result": result}) or 0


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with log_api() as (api, session):
        api.start()
        yield World(api, session)


async def test_alerts_are_told_as_they_are_written(world: World) -> None:
    """What was there, and what comes; start-up chatter is counted and left."""
    world.api.write(b"Falco version: 0.44.1", alert(1))
    async with world.following():
        await world.until(1)
        world.api.write(alert(2), seconds=3)
        await world.until(1, 2)
    assert (world.counted("alert"), world.counted("other")) == (2, 1)
    assert {name: world.api.asked[0][name] for name in ("container", "follow", "sinceTime", "timestamps")} == {
        "container": "falco", "follow": "true", "sinceTime": "2026-11-24T11:55:00Z", "timestamps": "true",
    }  # fmt: skip


async def test_a_broken_line_loses_and_doubles_nothing(world: World) -> None:
    """Also of several alerts at one moment, of which some were told before it broke."""
    world.api.write(alert(1), alert(2))
    async with world.following():
        await world.until(1, 2)
        world.api.cut()
        world.api.write(alert(3), alert(4))
        await world.until(1, 2, 3, 4)
    assert world.api.asked[-1]["sinceTime"] == "2026-11-24T11:59:58Z"
    assert world.counted("repeat") == 2


async def test_what_the_broker_does_not_take_is_kept_and_told_later(world: World) -> None:
    """Also where the pod is gone by then, and its log with it."""
    world.failures = 3
    world.api.write(alert(1), alert(2))
    async with world.following() as follower:
        await eventually(lambda: world.failures < 3)
        follower.gone = True
        world.api.remove()
        await world.until(1, 2)
        assert follower.last == NOON


async def test_the_same_alert_twice_in_one_read_is_told_once(world: World) -> None:
    """Falco's own words are its identity."""
    world.api.write(alert(1), alert(1))
    async with world.following():
        await world.until(1)
        await eventually(lambda: world.counted("repeat") == 1)


async def test_another_start_reads_what_the_one_before_wrote_to_its_end(world: World) -> None:
    """Lines that were written while nobody read, before and after the container was started anew."""
    async with world.following() as follower:
        world.api.write(alert(1))
        await world.until(1)
        world.api.refusals = [(503, "ServiceUnavailable")] * 2
        world.api.cut()
        world.api.write(alert(2), seconds=1)
        world.api.start()
        world.api.write(alert(3), seconds=9)
        await eventually(lambda: 3 in world.published)
        follower.pod = replace(follower.pod, starts=1)
        world.api.cut()
        await eventually(lambda: sorted(world.published) == [1, 2, 3])


async def test_a_watcher_that_starts_reads_the_container_before_as_well(world: World) -> None:
    """Its last lines may say why there is another one."""
    world.api.write(alert(1))
    world.api.start()
    world.api.write(alert(2), seconds=5)
    async with world.following(starts=1):
        await world.until(1, 2)


async def test_a_container_before_without_a_log_is_no_trouble(world: World) -> None:
    """The node has removed it."""
    world.api.write(alert(1))
    async with world.following(starts=3):
        await world.until(1)


async def test_a_pod_that_goes_is_read_to_its_end(world: World) -> None:
    """Its last line is told, and then nobody asks for it any more."""
    async with world.following() as follower:
        world.api.write(alert(1))
        await world.until(1)
        follower.gone = True
        world.api.write(alert(2))
        world.api.remove()
        await world.until(1, 2)
        await eventually(lambda: follower.gone and not world.api.open)


async def test_a_follower_of_a_pod_that_is_gone_ends(world: World) -> None:
    """And waits for nothing."""
    follower = world.follower()
    follower.gone = True
    world.api.remove()
    await follower.run()


async def test_rights_that_are_missing_are_said_once(world: World) -> None:
    """For all pods, in the log and as a metric; reading goes on when they come."""
    world.api.write(alert(1))
    world.api.refusals = [(403, "Forbidden")] * 3
    with structlog.testing.capture_logs() as logs:
        async with world.following():
            await world.until(1)
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "logs of Falco's pods may not be read"
    ]
    assert world.desk.metrics.registry.get_sample_value("setpoint_unseen_kinds", {"kind": "pods/log"}) == 0


async def test_plain_text_is_named_with_its_remedy_once(world: World) -> None:
    """Falco's own default is text, which names no rule and no fields."""
    world.api.write(b"12:00:00.000000001: Notice A shell", b"12:00:00.000000002: Error Another", alert(1))
    with structlog.testing.capture_logs() as logs:
        async with world.following():
            await world.until(1)
    assert [entry["fix"] for entry in logs if "fix" in entry] == ["set json_output: true in falco.yaml"]
    assert world.counted("plain-alert") == 2


async def test_a_line_that_is_too_long_is_passed_over(world: World) -> None:
    """And the one after it is told."""
    world.api.write(alert(1, output="x" * 70_000), alert(2))
    async with world.following():
        await world.until(2)
        await eventually(lambda: world.counted("too-long") == 1)


WAITS = {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param([container("falco", state={"running": {}}, restartCount=2)], ("falco", 2), id="runs"),
        pytest.param(
            [container("falcoctl", state={"running": {}}), container("falco", state={"running": {}})], ("falco", 0),
            id="beside-another",
        ),
        pytest.param([container("agent", state={"running": {}})], ("agent", 0), id="named-otherwise"),
        pytest.param([container("falco", state=WAITS)], None, id="not-started"),
        pytest.param([container("falco", state=WAITS, restartCount=3)], ("falco", 3), id="between-two-starts"),
        pytest.param([], None, id="no-container-yet"),
        pytest.param("odd", None, id="odd"),
    ],
)  # fmt: skip
def test_which_container_speaks(states: Any, expected: tuple[str, int] | None) -> None:
    """Falco's own, as soon as it has ever started."""
    found = pod_of(PATH, pod({"containerStatuses": states}))
    assert (found and (found.container, found.starts)) == expected
