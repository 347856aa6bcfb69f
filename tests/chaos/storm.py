"""Other clients that change declared objects, over the API server's own HTTP interface and under other names."""

import asyncio
import random
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp

from services.kube.objects import Object
from tests.chaos.estate import Estate, Thing, collection, encoded

MANAGERS = ("kubectl-edit", "hotfix-bot", "intruder")
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
Body = dict[str, Any]


def config_map_blows(number: int) -> list[Body | None]:
    """Ways to drift a ConfigMap; None deletes it."""
    return [
        {"data": {"mode": f"broken-{number}"}},
        {"data": {"extra": f"added-{number}"}},
        {"data": {"limit": None}},
        {"metadata": {"labels": {"tier": None}}},
        {"data": {"mode": f"both-{number}", "owner": None}},
        None,
    ]


def secret_blows(number: int, marker: str) -> list[Body | None]:
    """Ways to drift a Secret; every value carries the marker."""
    return [
        {"data": {"password": encoded(f"{marker}-stolen-{number}")}},
        {"data": {"backdoor": encoded(f"{marker}-added-{number}")}},
        {"data": {"user": None}},
        None,
    ]


def deployment_blows(number: int) -> list[Body | None]:
    """Ways to drift a Deployment, as a strategic merge."""
    container: Callable[..., Body] = lambda **fields: {  # noqa: E731 - three calls below, and nowhere else
        "spec": {"template": {"spec": {"containers": [{"name": "app", **fields}]}}}
    }
    return [
        {"spec": {"replicas": 2 + number % 3}},
        container(image=f"registry.test/app:evil-{number}"),
        container(env=[{"name": "MODE", "value": f"broken-{number}"}]),
        container(env=[{"name": "DEBUG", "value": "1"}]),
        {"metadata": {"labels": {"tier": "other"}}},
    ]


class Storm:
    """Drifts objects in turn, shuffled, so that each gets its share. `blows` counts what the API server took."""

    def __init__(self, estate: Estate, session: aiohttp.ClientSession, chance: random.Random) -> None:
        self.estate, self.session, self.chance = estate, session, chance
        self.blows = self.lost = 0
        self.turn = self._turns()

    async def wave(self, count: int) -> None:
        """Drift the next `count` objects at once. What an API server that is away does not take is counted as lost."""
        await asyncio.gather(*(self._blow(next(self.turn)) for _ in range(count)))

    async def blow(self, stop: asyncio.Event, pace: float = 1.0) -> None:
        """Everything at once, then gusts until `stop`, about `pace` a second."""
        await self.wave(len(self.estate.things))
        while not stop.is_set():
            await self.wave(self.chance.randint(2, 8))
            await _unless(stop, self.chance.uniform(0.2, 1.8) / pace)

    async def live(self) -> dict[tuple[str, str, str], Object]:
        """All live objects of the namespace, by what tells them apart."""
        found = {}
        for kind in ("ConfigMap", "Secret", "Deployment"):
            async with self.session.get(collection(kind, self.estate.namespace)) as answer:
                answer.raise_for_status()
                for item in (await answer.json())["items"]:
                    found[kind, self.estate.namespace, str(item["metadata"]["name"])] = item
        return found

    async def _blow(self, thing: Thing) -> None:
        body, form, manager = self._pick(thing)
        try:
            if body is None:
                answer = await self.session.delete(thing.path)
            else:
                answer = await self.session.patch(
                    thing.path, json=body, headers={"Content-Type": form}, params={"fieldManager": manager}
                )
        except (aiohttp.ClientError, TimeoutError):
            self.lost += 1
            return
        async with answer:
            accepted = answer.status in (200, 404)  # 404: deleted by an earlier blow and not back yet
            assert accepted or answer.status in (409, 429, 500, 503, 504), (answer.status, await answer.text())
            self.blows += answer.status == 200

    def _pick(self, thing: Thing) -> tuple[Body | None, str, str]:
        number = self.chance.randrange(1000)
        if thing.kind == "Deployment":
            return self.chance.choice(deployment_blows(number)), STRATEGIC, self.chance.choice(MANAGERS)
        secret = thing.kind == "Secret"
        ways = secret_blows(number, self.estate.marker) if secret else config_map_blows(number)
        return self.chance.choice(ways), MERGE, self.chance.choice(MANAGERS)

    def _turns(self) -> Iterator[Thing]:
        while True:
            yield from self.chance.sample(self.estate.things, len(self.estate.things))


async def _unless(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
