"""How each kind is told to stop what it does by itself: the one table of `suspend` and `resume`.

A switch is a field that is `on` while it is suspended. What stood there before is put back, so that a field that nobody
had set is taken away again. Kinds that have none, cert-manager's and Knative Serving's, are not here.
Sources: each project's own API types; Crossplane's annotation is honoured by every managed resource of its providers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.kube.objects import Object
from services.kube.pointer import Segments, resolve

SUSPEND, PAUSED = ("spec", "suspend"), ("spec", "paused")
AUTOMATED = ("spec", "syncPolicy", "automated")
CROSSPLANE = (".crossplane.io", ".upbound.io")


@dataclass(frozen=True)
class Switch:
    """A field and what it is while suspended. `also` are other values of the field that mean the same."""

    path: Segments
    on: Any = True
    also: tuple[Any, ...] = ()

    def is_on(self, live: Object) -> bool:
        """Whether the object is suspended, by whomever."""
        return resolve(live, self.path) in (self.on, *self.also)


class _Automated(Switch):
    """Argo CD syncs by itself where `automated` is there and not disabled; without it only when it is asked to."""

    def is_on(self, live: Object) -> bool:
        found = resolve(live, self.path)
        return not isinstance(found, dict) or found.get("enabled") is False


def _annotation(name: str) -> Switch:
    return Switch(("metadata", "annotations", name), "true")


def _kinds() -> Iterator[tuple[tuple[str, str], Switch]]:
    by_field: tuple[tuple[Switch, str, str], ...] = (
        (Switch(SUSPEND), "batch", "CronJob"),
        (Switch(SUSPEND), "argoproj.io", "CronWorkflow"),
        (Switch(SUSPEND), "kustomize.toolkit.fluxcd.io", "Kustomization"),
        (Switch(SUSPEND), "helm.toolkit.fluxcd.io", "HelmRelease"),
        (Switch(SUSPEND), "source.toolkit.fluxcd.io", "GitRepository HelmRepository HelmChart OCIRepository Bucket"),
        (Switch(SUSPEND), "image.toolkit.fluxcd.io", "ImageRepository ImageUpdateAutomation"),
        (Switch(SUSPEND), "notification.toolkit.fluxcd.io", "Alert Receiver"),
        (Switch(SUSPEND), "postgresql.cnpg.io", "ScheduledBackup"),
        (Switch(PAUSED), "velero.io", "Schedule"),
        (Switch(PAUSED), "apps", "Deployment"),
        (Switch(PAUSED), "argoproj.io", "Rollout"),
        (Switch(PAUSED), "monitoring.coreos.com", "Prometheus Alertmanager ThanosRuler"),
        (Switch(PAUSED), "cluster.x-k8s.io", "Cluster"),
        (_Automated(AUTOMATED, None), "argoproj.io", "Application"),
        (Switch(("spec", "state"), "paused", ("stopped",)), "kafka.strimzi.io", "KafkaConnector"),
        (_annotation("strimzi.io/pause-reconciliation"), "kafka.strimzi.io",
         "Kafka KafkaConnect KafkaMirrorMaker2 KafkaBridge KafkaTopic KafkaUser KafkaRebalance"),
        (_annotation("autoscaling.keda.sh/paused"), "keda.sh", "ScaledObject ScaledJob"),
        (_annotation("eck.k8s.elastic.co/pause-orchestration"), "elasticsearch.k8s.elastic.co", "Elasticsearch"),
        (_annotation("app.terraform.io/paused"), "app.terraform.io", "Workspace"),
    )  # fmt: skip
    for switch, group, kinds in by_field:
        for kind in kinds.split():
            yield (group, kind), switch


SWITCHES: dict[tuple[str, str], Switch] = dict(_kinds())


def switch_of(group: str, kind: str) -> Switch | None:
    """The switch of a kind, None where it has none that is known."""
    found = SWITCHES.get((group, kind))
    crossplane = found is None and f".{group}".endswith(CROSSPLANE)
    return _annotation("crossplane.io/paused") if crossplane else found


def nested(path: Segments, value: Any) -> Object:
    """A merge patch that sets one field; None takes it away."""
    for segment in reversed(path):
        value = {segment: value}
    return dict(value)
