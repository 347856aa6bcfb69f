"""The user that Grafana reads with: its statements are ones that ClickHouse takes, and they give nothing but reading.

The embedded engine has no users, so the statements are parsed and not run.
"""

import re
from pathlib import Path

import pytest

from services.recorder.dashboards.__main__ import ROOT
from services.recorder.store import ClickHouse
from tests.integration.recorder_parts import empty_store, engine_folder

__all__ = ["empty_store", "engine_folder"]
pytestmark = pytest.mark.integration
FILE = Path(__file__).parents[2] / "deploy" / "clickhouse" / "grafana-user.sql"
PROVISIONED = Path(__file__).parents[2] / ROOT / "provisioning" / "datasources" / "setpoint.yaml"


def statements() -> list[str]:
    """Without the comments."""
    text = re.sub(r"^--.*$", "", FILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [part.strip() for part in text.split(";") if part.strip()]


@pytest.mark.parametrize("statement", [pytest.param(text, id=text.split(" SETTINGS")[0]) for text in statements()])
async def test_every_statement_is_understood(statement: str, empty_store: ClickHouse) -> None:
    """By the engine's own parser."""
    assert await empty_store.query(f"EXPLAIN AST {statement}")


def test_it_may_read_and_nothing_else() -> None:
    """One grant, of SELECT; no password is in the file, and until there is one the user comes from nowhere."""
    grants = [text for text in statements() if text.startswith("GRANT") and " ON " in text]
    assert grants == ["GRANT SELECT ON setpoint.* TO setpoint_reader"]
    assert "IDENTIFIED" not in " ".join(statements())
    assert any("HOST NONE" in text for text in statements())
    [profile] = [text for text in statements() if "SETTINGS PROFILE IF" in text]
    assert "readonly = 1" in profile


def test_the_datasource_is_that_user() -> None:
    """Its password comes from the environment."""
    text = PROVISIONED.read_text(encoding="utf-8")
    assert "username: setpoint_grafana" in text
    assert "password: ${SETPOINT_GRAFANA_PASSWORD}" in text
