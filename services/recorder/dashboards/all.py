"""Every dashboard, in the order in which they are listed."""

from services.recorder.dashboards import (
    alerts_and_actions,
    changes,
    drift,
    falco,
    kafka_and_record,
    metrics_explorer,
    platform,
    story,
)
from services.recorder.dashboards.model import Dashboard

DASHBOARDS: tuple[Dashboard, ...] = (
    platform.DASHBOARD,
    drift.DASHBOARD,
    alerts_and_actions.DASHBOARD,
    changes.DASHBOARD,
    story.DASHBOARD,
    falco.DASHBOARD,
    kafka_and_record.DASHBOARD,
    metrics_explorer.DASHBOARD,
)
