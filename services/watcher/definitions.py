"""Hear at once that custom resource definitions come, go or change, so that discovery need not wait for its turn.

The definitions are watched metadata-only, without their schemas, which are large. Where the token may not, discovery
is asked at its usual pace.
"""

from services.kube.api.cluster import Cluster
from services.kube.api.errors import ApiError
from services.kube.api.reflector import Reflector, Sighting
from services.runtime.clock import Clock
from services.runtime.logging import Log
from services.runtime.metrics import Metrics

GROUP, KIND = "apiextensions.k8s.io", "CustomResourceDefinition"
SETTLES_S = 15.0  # the server takes some seconds to serve and publish what a definition says


class Definitions:
    """`due` is True for some seconds after a definition has changed. Use `run` as a task."""

    def __init__(self, cluster: Cluster, *, clock: Clock, metrics: Metrics, log: Log) -> None:
        self.cluster, self.clock, self.metrics, self.log = cluster, clock, metrics, log
        self.until = 0.0

    async def run(self) -> None:
        """Watch until cancelled; ends where the token may not."""
        resource = self.cluster.catalogue.find(GROUP, KIND)
        try:
            allowed = resource is not None and await self.cluster.allowed("watch", resource)
        except ApiError:
            allowed = True  # the server is away, and the watch waits for it
        if resource is None or not allowed:
            self.log.info("definitions of kinds cannot be watched, so new ones are found at the usual pace")
            return
        await Reflector(
            self.cluster.session, resource, self._changed, clock=self.clock, metrics=self.metrics, log=self.log,
            metadata_only=True,
        ).run()  # fmt: skip

    def due(self, now: float) -> bool:
        """Whether discovery may have something new to say."""
        return now < self.until

    def _changed(self, sighting: Sighting) -> None:
        if sighting.source != "list":
            self.until = self.clock.monotonic() + SETTLES_S
