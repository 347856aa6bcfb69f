"""What a stored Helm release says, and that nothing which somebody stores as one can do harm."""

import base64
import gzip
import zlib
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from services.kube.declaration.origins.motion import motion
from services.kube.declaration.origins.release import MOST_BYTES, Unreadable, manifest_of, render
from services.kube.declaration.origins.stored import Stored
from tests.helm import encoded, release
from tests.watching import config_map

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOOK = config_map("shop", "migrate")


def in_secret(payload: str) -> str:
    return base64.b64encode(payload.encode()).decode()


@pytest.mark.parametrize("zipped", [pytest.param(True, id="gzipped"), pytest.param(False, id="plain")])
@pytest.mark.parametrize("secret", [pytest.param(True, id="secret"), pytest.param(False, id="configmap")])
def test_a_release_is_read_from_either_storage_and_without_its_hooks(zipped: bool, secret: bool) -> None:
    """Hooks run once and are gone; they are no declared state."""
    payload = encoded(release("web", 1, config_map("shop", a="1"), hooks=(HOOK,)), zipped=zipped)
    text = manifest_of(in_secret(payload) if secret else payload, secret=secret)
    assert [found.obj for found in render("r", text, "shop").manifests] == [config_map("shop", a="1")]


def broken_gzip() -> bytes:
    return gzip.compress(b"{}" * 100)[:-12] + b"123456789012"


def bomb() -> bytes:
    """A release that unfolds to more than is allowed, from some 64 KB."""
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b" " * 2**20
    packed = b"".join(engine.compress(zeros) for _ in range((MOST_BYTES >> 20) + 1))
    return packed + engine.flush()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        pytest.param(b"\x00\x01", "no JSON", id="bytes"),
        pytest.param(b"", "no JSON", id="empty"),
        pytest.param(b"[]", "no release", id="a list"),
        pytest.param(b'{"manifest": 5}', "no text", id="a number for a manifest"),
        pytest.param(b"[" * 100_000, "no JSON", id="deep"),
        pytest.param(broken_gzip(), "gzip is broken", id="broken gzip"),
        pytest.param(gzip.compress(b'{"manifest": ""}')[:-9], "ends too early", id="cut gzip"),
        pytest.param(bomb(), "unfolds to more than 64 MiB", id="bomb"),
        pytest.param(orjson.dumps({"manifest": "#" * (17 * 2**20)}), "larger than 16 MiB", id="huge manifest"),
    ],
)
def test_what_is_no_release_is_told_and_not_raised_as_anything_else(raw: bytes, why: str) -> None:
    """Whoever may write Secrets in a namespace can store anything under Helm's labels."""
    with pytest.raises(Unreadable, match=why):
        manifest_of(base64.b64encode(raw).decode(), secret=False)


@pytest.mark.parametrize("text", ["not base64!", "é", "QQ"])
def test_what_is_no_base64_is_told(text: str) -> None:
    """In both layers."""
    for stored in (text, in_secret(text)):
        with pytest.raises(Unreadable, match="base64"):
            manifest_of(stored, secret=stored != text)


def test_one_broken_document_does_not_hide_the_others() -> None:
    """The problem names the release and the place in its manifest."""
    text = "---\nkind: ConfigMap\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n---\n# only a comment\n"
    found = render("helm release shop/web", text, "shop")
    assert [one.obj["metadata"] for one in found.manifests] == [{"name": "good", "namespace": "shop"}]
    assert {str(problem).split(" (")[0] for problem in found.problems} == {
        "helm release shop/web:2:1: apiVersion: is missing or no text",
        "helm release shop/web:2:1: metadata: is missing or no map",
    }


def revision(number: int, status: str, age: timedelta = timedelta(seconds=5)) -> Stored:
    created = (NOW - age).isoformat().replace("+00:00", "Z")
    return Stored("Secret", "shop", f"s{number}", "web", status, number, ("u", str(number)), created)


@pytest.mark.parametrize(
    ("revisions", "why"),
    [
        pytest.param([revision(1, "superseded"), revision(2, "deployed")], None, id="at rest"),
        pytest.param([revision(2, "deployed"), revision(3, "failed")], None, id="a failed upgrade"),
        pytest.param(None, None, id="nothing may be listed"),
        pytest.param([], "is no longer there", id="purged"),
        pytest.param([revision(2, "deployed"), revision(3, "pending-upgrade")], "is in pending-upgrade", id="upgrade"),
        pytest.param(
            [revision(2, "deployed"), revision(3, "pending-upgrade", timedelta(hours=1))], None, id="broken off"
        ),
        pytest.param([revision(2, "superseded"), revision(3, "deployed")], "is at revision 3 by now", id="upgraded"),
        pytest.param([revision(2, "uninstalling")], "is in uninstalling", id="uninstalling"),
        pytest.param([revision(2, "uninstalled")], "is no longer deployed", id="uninstalled"),
    ],
)
def test_no_verdict_while_helm_is_at_work(revisions: list[Stored] | None, why: str | None) -> None:
    """An upgrade changes the objects before its revision counts as deployed."""
    found = motion(revisions, "web.v2", NOW)
    assert found is None if why is None else found is not None and why in found
