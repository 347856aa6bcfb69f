"""What an alert is about: the workload of a pod that is in trouble, from controller to controller; else the object.

Only objects in trouble are looked at. What a reference says of an owner is enough where that owner is gone, may not be
read or is of no served kind: the alert is told all the same, about the nearest one that is known. Whoever makes a pod
may write any name there: one that could be more than a name is no owner.
"""

from collections import OrderedDict

from schemas.target import Target
from services.kube.api.cluster import Cluster
from services.kube.api.errors import Forbidden, Invalid
from services.kube.objects import Object, ObjectKey, metadata_of
from services.watcher.trouble.found import OWNED, Controller, Subject, can_be, controller_of, subject_of

MOST = 4096
HOPS = 4
NODE = ("", "Node")


class Owners:
    """Who controls an owner, by that owner's uid, is remembered: it does not change."""

    def __init__(self, cluster: Cluster, most: int = MOST) -> None:
        self.cluster, self.most = cluster, most
        self.above: OrderedDict[str, Controller | None] = OrderedDict()

    async def target(self, subject: Subject) -> Target:
        """Raises Unavailable where the API server does not answer: ask again."""
        if not subject.known:
            subject = await self._looked_up(subject)
        key, uid, above = subject.key, subject.uid, subject.controller
        for _ in range(HOPS):
            if above is None or key.kind not in OWNED or above[:2] == NODE:
                break
            owner = ObjectKey(above.group, above.kind, key.namespace, above.name)
            if not can_be(owner):
                break
            key, uid = owner, above.uid
            above = await self._above(key, uid) if key.kind in OWNED else None
        return Target(
            cluster=self.cluster.name, group=key.group, kind=key.kind, namespace=key.namespace, name=key.name,
            uid=uid or None,
        )  # fmt: skip

    async def _looked_up(self, subject: Subject) -> Subject:
        live = await self._get(subject.key)
        if live is None or subject.uid not in ("", metadata_of(live).get("uid")):
            return subject
        found = subject_of(live)
        return Subject(subject.key, found.uid, found.controller)

    async def _above(self, key: ObjectKey, uid: str) -> Controller | None:
        if uid in self.above:
            self.above.move_to_end(uid)
            return self.above[uid]
        live = await self._get(key)
        if live is None or metadata_of(live).get("uid") != uid:
            return None
        self.above[uid] = controller_of(live)
        while len(self.above) > self.most:
            self.above.popitem(last=False)
        return self.above[uid]

    async def _get(self, key: ObjectKey) -> Object | None:
        try:
            return await self.cluster.get(key)
        except (Forbidden, Invalid):
            return None
