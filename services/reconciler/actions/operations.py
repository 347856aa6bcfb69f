"""Every operation by its name: the one place that knows them all.

`revert` and `prune` are actions on drift, and not here: they have a baseline, these have an alert or a schedule.
"""

from collections.abc import Mapping
from typing import Any

from services.reconciler.actions.apply_manifest import ApplyManifest
from services.reconciler.actions.argocd_sync import ArgocdSync
from services.reconciler.actions.cordon import Cordon, Uncordon
from services.reconciler.actions.delete_pod import DeletePod
from services.reconciler.actions.drain import Drain
from services.reconciler.actions.evidence import Evidence
from services.reconciler.actions.flux_reconcile import FluxReconcile
from services.reconciler.actions.isolate import Isolate
from services.reconciler.actions.kafka_restart import KafkaRestart
from services.reconciler.actions.label import Annotate, Label
from services.reconciler.actions.notify import Notify
from services.reconciler.actions.operation import Operation
from services.reconciler.actions.patch import Patch
from services.reconciler.actions.restart import Restart
from services.reconciler.actions.rollback import Rollback
from services.reconciler.actions.run_job import RunJob
from services.reconciler.actions.scale import Scale
from services.reconciler.actions.silence import Silence
from services.reconciler.actions.suspend import Resume, Suspend
from services.reconciler.actions.velero_backup import VeleroBackup
from services.reconciler.actions.webhook import Webhook

ALL: tuple[Operation[Any], ...] = (
    Restart(),
    Scale(),
    DeletePod(),
    Rollback(),
    Cordon(),
    Uncordon(),
    Drain(),
    Label(),
    Annotate(),
    Patch(),
    ApplyManifest(),
    Evidence(),
    Isolate(),
    Suspend(),
    Resume(),
    ArgocdSync(),
    FluxReconcile(),
    VeleroBackup(),
    KafkaRestart(),
    RunJob(),
    Webhook(),
    Silence(),
    Notify(),
)
OPERATIONS: Mapping[str, Operation[Any]] = {one.name: one for one in ALL}
