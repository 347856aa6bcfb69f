"""Write what Grafana reads: `make dashboards`. A test holds the committed files against this."""

from pathlib import Path

from services.recorder.dashboards.alerting import alerting_text
from services.recorder.dashboards.all import DASHBOARDS
from services.recorder.dashboards.grafana import text_of

ROOT = Path("deploy/grafana")


def made() -> dict[Path, str]:
    """Every generated file's place below `deploy/grafana`, and its text."""
    dashboards = {Path("dashboards", f"{board.uid}.json"): text_of(board) for board in DASHBOARDS}
    return {**dashboards, Path("provisioning", "alerting", "setpoint.yaml"): alerting_text()}


def write(root: Path) -> None:
    """Write them all, and remove dashboards that are no more."""
    for old in root.joinpath("dashboards").glob("*.json"):
        old.unlink()
    for place, text in made().items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(ROOT)
