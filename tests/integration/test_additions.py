"""What somebody added by hand, on the real API server: seen by both engines whoever deployed the object and however it
was written, at the topmost path that is all of that hand, with its name; and gone after a correction.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from schemas.events import Reason
from services.kube.api.errors import Conflict, Invalid
from services.kube.correction.revert import put_back
from services.kube.declaration.baselines import Declared
from services.kube.objects import Object, key_of
from services.kube.verdict.describe import describe
from services.kube.verdict.judge import judge
from services.local.controlplane import LocalControlPlane
from tests.cases.added import ADDITIONS, Addition
from tests.cases.scene import with_last_applied
from tests.cases.writes import Way, add
from tests.watching import DEPLOYER, MASK_KEY, Client, Files, client_of

pytestmark = pytest.mark.integration

AT_ONCE = 8
PERSON, CONTROLLER, ROBOT = "kubectl-edit", "kube-controller-manager", "backup-robot"
# By way of deployment: the manager that the baseline names as its own.
APPLIERS = {"server-side apply": DEPLOYER, "create": "helm", "client-side apply": "kubectl-client-side-apply"}
UNNAMED = "create by somebody unnamed"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(control_plane: LocalControlPlane) -> AsyncIterator[Client]:
    async with client_of(control_plane) as opened:
        yield opened


async def deploy(client: Client, obj: Object, how: str) -> None:
    if how == "server-side apply":
        await client.apply(obj, DEPLOYER)
    elif how == "client-side apply":
        await client.create(with_last_applied(obj), APPLIERS[how])
    else:
        await client.create(obj, APPLIERS.get(how, "installer"))


async def written(client: Client, obj: Object, addition: Addition, way: Way, manager: str) -> Object:
    """Add it to the object as it then is; once more where a controller wrote in between."""
    while True:
        try:
            live = await client.get(obj)
            assert live is not None
            await add(client, live, addition.pointer, addition.value, way, manager)
            break
        except Conflict:
            await asyncio.sleep(0)
    stored = await client.get(obj)
    assert stored is not None
    return stored


def declare(folder: Path, obj: Object, how: str) -> Declared:
    return Files(folder / obj["metadata"]["name"], APPLIERS.get(how)).write(obj).declared()[key_of(obj)]


async def verdicts(client: Client, declared: Declared, live: Object) -> dict[str, tuple[set[str], set[str | None]]]:
    """By engine: what differs, "kind path", and who wrote it."""
    found = {}
    for engine, dry_run in (("dry-run", True), ("local", False)):
        finding = await judge(client.cluster, declared, live, dry_run=dry_run)
        fields = {f"{diff.kind} {diff.path}" for diff in finding.fields}
        writers = {change.manager for change in describe(live, declared.obj, finding.fields, MASK_KEY.encode())}
        found[engine] = (fields, writers)
    return found


async def wrong_ones(client: Client, folder: Path, how: str, way: Way, manager: str) -> dict[str, object]:
    """Every addition of the table by one manager: those that are not told as they should be."""
    namespace, gate = await client.namespace(), asyncio.Semaphore(AT_ONCE)
    wrong: dict[str, object] = {}

    async def one(number: int, addition: Addition) -> None:
        async with gate:
            obj = addition.declared(namespace, f"web-{number}")
            await deploy(client, obj, how)
            live = await written(client, obj, addition, way, manager)
            places = addition.expected(live, defaults_owned=how in ("create", "client-side apply"))
            fields = {f"{kind} {path}" for path, kind in places}
            expected = (fields, {manager}) if manager != CONTROLLER else (set(), set())
            found = await verdicts(client, declare(folder, obj, how), live)
            if any(verdict != expected for verdict in found.values()):
                wrong[addition.id] = {"expected": expected, **found}

    await asyncio.gather(*(one(number, addition) for number, addition in enumerate(ADDITIONS)))
    return wrong


# A PUT, a JSON patch and a merge patch leave the same traces, so that one of them stands for the three.
SITUATIONS = [
    *(("server-side apply", way) for way in Way),
    *((how, way) for how in ("create", "client-side apply", UNNAMED) for way in (Way.PUT, Way.STRATEGIC, Way.APPLY)),
]


@pytest.mark.parametrize(
    ("how", "way"), [pytest.param(how, way, id=f"{way}-after-{how.replace(' ', '-')}") for how, way in SITUATIONS]
)
async def test_both_engines_see_what_a_person_added(client: Client, tmp_path: Path, how: str, way: Way) -> None:
    """Each of the table, with the right path, kind and manager, however the object and the addition were written."""
    assert await wrong_ones(client, tmp_path, how, way, PERSON) == {}


@pytest.mark.parametrize(
    ("how", "way"),
    [
        pytest.param("server-side apply", Way.PUT, id="put"),
        pytest.param(UNNAMED, Way.STRATEGIC, id="strategic-merge"),
        pytest.param("client-side apply", Way.APPLY, id="server-side-apply"),
    ],
)
async def test_what_a_controller_added_is_no_drift(client: Client, tmp_path: Path, how: str, way: Way) -> None:
    """The very same fields, written by Kubernetes' own controllers."""
    assert await wrong_ones(client, tmp_path, how, way, CONTROLLER) == {}


async def test_an_unknown_robot_is_no_controller(client: Client, tmp_path: Path) -> None:
    """Trust is given by name: what nobody trusts is told like a person's, less the finalizers that hold an object."""
    wrong = await wrong_ones(client, tmp_path, "server-side apply", Way.MERGE, ROBOT)
    assert set(wrong) == {"finalizer"}


async def corrected(client: Client, folder: Path, obj: Object, addition: Addition) -> object:
    """Deploy, add, put back; what is not as it was deployed then, None where all is."""
    await deploy(client, obj, "server-side apply")
    before = await client.get(obj) or {}
    live = await written(client, obj, addition, Way.PUT, PERSON)
    declared = declare(folder, obj, "server-side apply")
    try:
        await put_back(client.cluster, declared, live, await judge(client.cluster, declared, live))
    except Invalid as error:
        return error.cause
    after = await client.get(obj) or {}
    names = (before.keys() | after.keys()) - {"metadata", "status"}
    parts = {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
    state = (await judge(client.cluster, declared, after)).state
    return {"state": state, **parts} if parts or state else None


async def test_a_correction_takes_out_what_was_added(client: Client, tmp_path: Path) -> None:
    """And nothing else: the object is as it was deployed. A sealed ConfigMap can only be made anew."""
    namespace, gate = await client.namespace(), asyncio.Semaphore(AT_ONCE)

    async def one(number: int, addition: Addition) -> object:
        async with gate:
            return await corrected(client, tmp_path, addition.declared(namespace, f"web-{number}"), addition)

    found = await asyncio.gather(*(one(number, addition) for number, addition in enumerate(ADDITIONS)))
    wrong = {addition.id: result for addition, result in zip(ADDITIONS, found, strict=True) if result is not None}
    assert wrong == {"ConfigMap's seal": Reason.IMMUTABLE}
