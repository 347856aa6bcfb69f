"""Open the cluster that a command was given; none is ever taken that was not named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.kube.api.cluster import Cluster, open_cluster
from services.kube.api.session import current_context
from services.runtime.errors import UsageError
from services.runtime.settings import Settings


@asynccontextmanager
async def named_cluster(settings: Settings) -> AsyncIterator[Cluster]:
    """The cluster for the length of a block. A kubeconfig without a context means its own current one.

    Raises UsageError where neither is given, Unavailable where the API server does not answer.
    """
    if not settings.context and not settings.kubeconfig:
        raise UsageError("no cluster was named", "Give --context NAME or --kubeconfig FILE")
    context = settings.context or current_context(settings.kubeconfig or Path())
    cluster = await open_cluster(settings.kubeconfig, context, settings.cluster)
    try:
        yield cluster
    finally:
        await cluster.close()
