"""A field of battle: a broker of its own, a namespace of its own, every service as a process, and a storm over it.

Topics have one name each, so that each test needs its own broker; the control plane is the session's, except where a
test kills the API server.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from schemas.topics import RECORDED, TopicName
from services.kube.api.cluster import open_cluster
from services.local.apiclient import api_session
from services.local.broker import LocalBroker
from services.local.controlplane import LocalControlPlane
from services.local.example import install
from services.local.prepare import Parts
from services.runtime.clock import SystemClock
from services.runtime.kafka import ensure_topics
from services.runtime.settings import Settings
from tests.chaos import verdict
from tests.chaos.estate import Estate, encoded, make_estate
from tests.chaos.evidence import evidence
from tests.chaos.history import History, read_history
from tests.chaos.service import Service
from tests.chaos.settled import unsettled
from tests.chaos.storm import Storm
from tests.chaos.topics import Topics, commits_of, read_topics

CONTEXT = "setpoint-local"
TWO_RECORDERS = "tests.chaos.two_recorders"
PARTITIONS = 3
SETTLED_WITHIN_S = 180.0
RECORDED_WITHIN_S = 120.0
LOOK_AGAIN_S = 0.3
STATE_TOPICS = (TopicName.DRIFT, TopicName.DECISIONS, TopicName.ACTIONS, TopicName.LEDGER)
ALL = ("watcher", "reconciler", "recorder")


@dataclass
class Field:
    """Make it with `open_field`. `chance` is seeded, so that a failure can be played again."""

    name: str
    folder: Path
    broker: LocalBroker
    plane: LocalControlPlane
    estate: Estate
    storm: Storm
    chance: random.Random
    seed: int
    services: dict[str, Service] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        """Of the services' lives."""
        return self.folder / "services"

    @property
    def engine(self) -> Path:
        """The folder of the recorder's engine."""
        return self.folder / "engine"

    def start(self, *names: str) -> None:
        """Start services that were not started before: `watcher`, or `watcher-2` for a second one.

        `recorders` are two in one process.
        """
        for label in names:
            run = ["services.cli.main", "run", label.partition("-")[0], "--http-port", "0"]
            command = [TWO_RECORDERS] if label == "recorders" else run
            self.services[label] = Service(label, command, self.logs, self._environ())
            self.services[label].start()

    async def until_ready(self, *labels: str) -> None:
        """Wait until these services (all, if none are named) say that they can do their work."""
        await asyncio.gather(*(self.services[label].until_ready() for label in labels or self.services))

    async def until_settled(self, within: float = SETTLED_WITHIN_S) -> None:
        """Wait until everything is over. Fails with what is not, and what is known of it."""
        await until(self._unsettled, f"not settled (seed {self.seed})", within, self._evidence)

    async def finish(self) -> Topics:
        """Wait until all is settled and recorded, end the services in order, and prove what must hold."""
        await self.until_settled()
        await self._end([label for label in self.services if not label.startswith("recorder")])
        await until(self._unrecorded, f"not recorded (seed {self.seed})", RECORDED_WITHIN_S)
        await self._end([label for label in self.services if label.startswith("recorder")])
        topics, history = await read_topics(self.broker.bootstrap), await read_history(self.engine)
        found = await self._findings(topics, history)
        assert not found, f"seed {self.seed}, logs {self.logs}:\n" + "\n".join(found[:30])
        return topics

    def summary(self, topics: Topics) -> str:
        """What happened, in one line."""
        counts = ", ".join(f"{len(topics.of(name))} {name.removeprefix('setpoint-')}" for name in TopicName)
        kills = ", ".join(f"{label} {service.kills}" for label, service in self.services.items())
        return f"seed {self.seed}: {self.storm.blows} blows ({self.storm.lost} lost), kills: {kills}; records: {counts}"

    async def _unsettled(self) -> list[str]:
        for service in self.services.values():
            if service.child:
                service.child.check()
        live, topics = await self.storm.live(), await read_topics(self.broker.bootstrap, STATE_TOPICS)
        return unsettled(self.estate, self.name, live, topics, SystemClock().now())

    async def _evidence(self, problems: list[str]) -> list[str]:
        topics = await read_topics(self.broker.bootstrap)
        return list(evidence(self.estate, self.name, await self.storm.live(), topics, problems))

    async def _unrecorded(self) -> list[str]:
        """Partitions whose records are not all passed; what comes in meanwhile are samples only."""
        commits = await commits_of(self.broker.bootstrap, f"{self.name}-recorder")
        ends = (await read_topics(self.broker.bootstrap, RECORDED)).ends()
        return [
            f"{place}: {commits.get(place)} of {end}"
            for place, end in ends.items()
            if place not in commits or commits[place].offset < end or commits[place].metadata
        ]

    async def _findings(self, topics: Topics, history: History) -> list[str]:
        commits = await commits_of(self.broker.bootstrap, f"{self.name}-recorder")
        live = await self.storm.live()
        marker = self.estate.marker
        markers = (marker, encoded(marker)[: len(marker) // 3 * 4])
        return [
            *unsettled(self.estate, self.name, live, topics),
            *verdict.decisions(topics),
            *verdict.actions(topics),
            *verdict.recorded(topics, commits, history),
            *verdict.views(topics, commits, history),
            *verdict.secrets(markers, topics, history, (self.logs, self.folder / "kafka")),
            *verdict.logs(sorted(self.logs.glob("*.log"))),
        ]

    async def _end(self, labels: list[str]) -> None:
        await asyncio.gather(*(self.services[label].stop() for label in labels))

    def _environ(self) -> dict[str, str]:
        given = {
            "kafka": self.broker.bootstrap, "partitions": PARTITIONS, "group_prefix": self.name, "cluster": self.name,
            "kubeconfig": self.plane.kubeconfig, "context": CONTEXT, "clickhouse": f"chdb://{self.engine}",
            "baselines": self.folder / "estate" / "baselines.yml",
            "policies": self.folder / "estate" / "policies.yml", "mask_key": "a key for chaos tests only",
        }  # fmt: skip
        return {f"SETPOINT_{name.upper()}": str(value) for name, value in given.items()}


async def nothing_more(_: list[str]) -> list[str]:
    """Where what is left says enough by itself."""
    return []


async def until(
    left: Callable[[], Awaitable[list[str]]], message: str, within: float,
    known: Callable[[list[str]], Awaitable[list[str]]] = nothing_more,
) -> None:  # fmt: skip
    """Wait until nothing is left. Fails with what was left last, and what is known of that."""
    last: list[str] = []
    try:
        async with asyncio.timeout(within):
            while last := await left():  # noqa: ASYNC110 - what it waits for is in other processes
                await asyncio.sleep(LOOK_AGAIN_S)
    except TimeoutError:
        lines = [f"{message} within {within:g} s:", *last[:20], *await known(last)]
        raise AssertionError("\n".join(lines)) from None


@asynccontextmanager
async def open_field(parts: Parts, plane: LocalControlPlane, folder: Path, seed: int) -> AsyncIterator[Field]:
    """The parts and the estate, without services; whatever was started in it is ended with the block."""
    name = f"chaos-{uuid4().hex[:8]}"
    home = folder / name
    print(f"seed {seed}, folder {home}")
    estate = make_estate(name, f"sp{uuid4().hex}")
    estate.write(home / "estate")
    async with AsyncExitStack() as stack:
        broker = LocalBroker(home, parts.kafka.jars, parts.kafka.java)
        stack.push_async_callback(broker.stop)
        await broker.start()
        await ensure_topics(Settings(kafka=broker.bootstrap, partitions=PARTITIONS))
        await _install(plane, home / "estate")
        session = await stack.enter_async_context(api_session(plane.url, plane.ca_file, plane.admin_token))
        chance = random.Random(seed)
        battle = Field(name, home, broker, plane, estate, Storm(estate, session, chance), chance, seed)
        stack.push_async_callback(_end_all, battle)
        yield battle


async def _install(plane: LocalControlPlane, folder: Path) -> None:
    cluster = await open_cluster(plane.kubeconfig, CONTEXT)
    try:
        await install(cluster, folder, SystemClock())
    finally:
        await cluster.close()


async def _end_all(battle: Field) -> None:
    for service in battle.services.values():
        if service.child:
            await service.child.kill()
