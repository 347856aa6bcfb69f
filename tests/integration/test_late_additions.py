"""What a person adds to a workload during its correction, on a real API server: it keeps its author and is told.

And what the server adds for that person: a correction that takes the author of a list item's fields away must not leave
anything there that is not as declared.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.kube.correction.revert import put_back
from services.kube.objects import Object
from services.kube.verdict.judge import judge
from services.local.controlplane import LocalControlPlane
from tests.fixing import DONE, Workshop, container, ended, entries_of, with_container
from tests.watching import Client, client_of, deployment

pytestmark = pytest.mark.integration
DEBUG = {"name": "DEBUG", "value": "1"}
STRATEGIC = "application/strategic-merge-patch+json"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


@pytest.fixture
async def shop(client: Client, tmp_path: Path) -> Workshop:
    """Somewhere to break and fix things."""
    return Workshop(client, await client.namespace(), tmp_path)


class Interrupted:
    """The shop's cluster, in which a person adds a variable right before the first write of one method."""

    def __init__(self, shop: Workshop, obj: Object, method: str) -> None:
        self.shop, self.obj, self.method = shop, obj, method
        self.has_written = False

    def __getattr__(self, name: str) -> Any:
        late = name == self.method and not self.has_written
        return self._after_the_person if late else getattr(self.shop.cluster, name)

    async def _after_the_person(self, *args: Any, **how: Any) -> Object:
        self.has_written = True
        await self.shop.client.patch(self.obj, in_container(self.obj, env=[DEBUG]), content=STRATEGIC)
        stored: Object = await getattr(self.shop.cluster, self.method)(*args, **how)
        return stored


def in_container(obj: Object, **fields: Any) -> Object:
    """A strategic merge that names the first container and these of its fields only."""
    changed = {"name": container(obj)["name"], **fields}
    return {"spec": {"template": {"spec": {"containers": [changed]}}}}


@pytest.mark.parametrize(
    "method",
    [
        pytest.param("apply", id="between the look and the apply"),
        pytest.param("json_patch", id="between the apply and what follows it"),
    ],
)
@pytest.mark.parametrize("by_hand", [pytest.param(False, id="applied"), pytest.param(True, id="created by hand")])
async def test_what_is_added_during_a_correction_is_drift_after_it(shop: Workshop, method: str, by_hand: bool) -> None:
    """In a container of which that person has a share, which is taken; the next correction takes the addition out."""
    obj = deployment(shop.namespace)
    await (shop.client.create(obj) if by_hand else shop.client.apply(obj))
    declared = shop.declare(obj)
    live = await shop.client.patch(obj, in_container(obj, image="example.org/evil:1"), content=STRATEGIC)
    finding = await judge(shop.cluster, declared, live)
    back = in_container(obj, image=container(obj)["image"])
    await shop.client.patch(obj, back, content=STRATEGIC)  # which leaves a share, as an apply changes nothing then
    cluster = Interrupted(shop, obj, method)
    await put_back(cluster, declared, live, finding)  # type: ignore[arg-type]
    assert cluster.has_written
    again = await judge(shop.cluster, declared, await shop.live(declared))
    assert [(diff.kind, diff.live) for diff in again.fields] == [("added", DEBUG)]
    assert ended(await shop.fix(declared)) == DONE
    assert container(await shop.live(declared))["env"] == container(obj)["env"]
    assert entries_of(await shop.live(declared), "kubectl-edit") == []


async def test_a_default_that_followed_a_changed_image_goes_with_it(shop: Workshop) -> None:
    """An image without a tag is always pulled; the declared one is not, and one correction brings both back."""
    obj = deployment(shop.namespace)
    declared = await shop.deployed(obj)
    before = container(await shop.live(declared))
    await shop.client.patch(obj, with_container(obj, image="evil"))
    assert container(await shop.live(declared))["imagePullPolicy"] == "Always"
    assert ended(await shop.fix(declared)) == DONE
    assert container(await shop.live(declared)) == before
    assert (await judge(shop.cluster, declared, await shop.live(declared))).state is None
