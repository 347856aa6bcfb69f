"""Where the gateway's secrets come from: a mounted folder or a file, replaced without a restart."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.gateway.secrets import Known, load_secrets, secrets_file
from services.runtime.errors import Permanent

KNOWN = frozenset({"audit", "falco"})
ONE, TWO, THREE = ("1" * 32, "2" * 32, "3" * 32)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_folder_has_a_file_a_sender(tmp_path: Path) -> None:
    """As a Kubernetes Secret is mounted: its own bookkeeping begins with dots, and names have dots as well."""
    write(tmp_path / "audit.prod.eu-1", f"{ONE}\n{TWO}\n\n")
    write(tmp_path / "falco.prod", ONE)
    (tmp_path / "..data").mkdir()
    write(tmp_path / ".hidden", ONE)
    assert load_secrets(tmp_path, KNOWN) == {
        ("audit", "prod.eu-1"): Known((ONE.encode(), TWO.encode())), ("falco", "prod"): Known((ONE.encode(),))
    }  # fmt: skip


def test_a_file_may_have_any_name_in_it(tmp_path: Path) -> None:
    """A cluster's name may be a whole ARN; one secret needs no list."""
    name = "arn:aws:eks:eu-1:1:cluster/prod"
    file = write(tmp_path / "secrets.yaml", yaml.safe_dump({"audit": {name: ONE, "b": [ONE, TWO]}}))
    assert load_secrets(file, KNOWN) == {
        ("audit", name): Known((ONE.encode(),)), ("audit", "b"): Known((ONE.encode(), TWO.encode()))
    }  # fmt: skip


@pytest.mark.parametrize(
    ("document", "said"),
    [
        pytest.param({"audit": {"c": [ONE, TWO, THREE]}}, "3 secrets", id="three"),
        pytest.param({"audit": {"c": []}}, "0 secrets", id="none"),
        pytest.param({"audit": {"c": "short"}}, "shorter", id="short"),
        pytest.param({"audti": {"c": ONE}}, "no such source", id="misspelt"),
        pytest.param({"audit": ONE}, "says no secrets", id="no-names"),
        pytest.param([ONE], "says no secrets", id="list"),
    ],
)
def test_what_cannot_be_used_is_refused_without_showing_it(tmp_path: Path, document: Any, said: str) -> None:
    """An error's text ends in logs."""
    file = write(tmp_path / "secrets.yaml", yaml.safe_dump(document))
    with pytest.raises(Permanent, match=said) as raised:
        load_secrets(file, KNOWN)
    assert not [secret for secret in (ONE, TWO, "short ") if secret in str(raised.value)]


def test_a_file_that_is_no_yaml_is_not_quoted(tmp_path: Path) -> None:
    """The parser's own words would hold the line."""
    with pytest.raises(Permanent) as raised:
        load_secrets(write(tmp_path / "secrets.yaml", f"audit: [{ONE}"), KNOWN)
    assert ONE not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the setting that names it."""
    with pytest.raises(Permanent, match="SETPOINT_GATEWAY_SECRETS"):
        load_secrets(tmp_path / "nothing.yaml", KNOWN)


def test_new_secrets_are_taken_over_and_wrong_ones_are_not(tmp_path: Path) -> None:
    """Rotation needs no restart, and a slip while editing locks nobody out."""
    file = write(tmp_path / "audit.c", ONE)
    found = secrets_file(tmp_path, KNOWN)
    write(file, f"{ONE}\n{TWO}\n")
    assert found.refresh()
    assert found.value["audit", "c"].secrets == (ONE.encode(), TWO.encode())
    write(file, "oops")
    assert not found.refresh()
    assert found.problem
    assert found.value["audit", "c"].secrets == (ONE.encode(), TWO.encode())


def test_a_sender_may_speak_for_several_clusters(tmp_path: Path) -> None:
    """One Alertmanager of many clusters: each alert says which, and only those that it may speak for count."""
    long_form = {"central": {"secrets": [ONE], "clusters": ["prod-*"], "clusterLabel": "k8s"}}
    file = write(tmp_path / "secrets.yaml", yaml.safe_dump({"audit": long_form}))
    sender = load_secrets(file, KNOWN)["audit", "central"].sender("central")
    assert [sender.cluster({"k8s": name}) for name in ("prod-eu", "staging")] == ["prod-eu", None]
    assert sender.cluster({"cluster": "prod-eu"}) is None


def test_a_sender_speaks_for_the_cluster_it_names(tmp_path: Path) -> None:
    """Whatever its labels say."""
    sender = load_secrets(write(tmp_path / "audit.c", ONE).parent, KNOWN)["audit", "c"].sender("c")
    assert sender.cluster({"cluster": "another"}) == "c"


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        pytest.param({"secrets": [ONE], "cluster": ["a"]}, "'cluster' is no setting", id="misspelt"),
        pytest.param({"secrets": [ONE], "clusters": "a"}, "no list", id="clusters-text"),
        pytest.param({"secrets": [ONE], "clusters": [1]}, "no list", id="clusters-number"),
        pytest.param({"secrets": [ONE], "clusters": ["a"], "clusterLabel": ""}, "no label", id="no-label"),
        pytest.param({"clusters": ["a"]}, "0 secrets", id="no-secret"),
        pytest.param({"secrets": ["cn:"]}, "shorter", id="no-name"),
        pytest.param({"secrets": ["whsec_AAAAAAAAAAAAAAAA"]}, "shorter", id="short-signing-key"),
        pytest.param({"secrets": ["whsec_" + "!" * 40]}, "shorter", id="signing-key-is-no-base64"),
    ],
)
def test_a_wrong_sender_is_named_with_what_is_right(tmp_path: Path, sender: Any, said: str) -> None:
    """A slip in the long form must not open more than was meant."""
    file = write(tmp_path / "secrets.yaml", yaml.safe_dump({"audit": {"c": sender}}))
    with pytest.raises(Permanent, match=said) as raised:
        load_secrets(file, KNOWN)
    assert ONE not in str(raised.value)


def test_a_name_in_a_certificate_may_be_short(tmp_path: Path) -> None:
    """It is no secret."""
    file = write(tmp_path / "secrets.yaml", yaml.safe_dump({"falco": {"c": ["cn:f"]}}))
    assert load_secrets(file, KNOWN)["falco", "c"].secrets == (b"cn:f",)
