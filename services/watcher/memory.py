"""What the watcher remembers of each declared object: its last published state, packed, and its drifts."""

from dataclasses import dataclass, field

from schemas.events import DriftDetected
from services.kube.objects import Object, ObjectKey
from services.kube.ownership import Owner, last_writer
from services.kube.packing import Packer, projection


@dataclass(slots=True)
class Remembered:
    """One object that exists. `packed` is its projection as last told, `writer` a hash of who had written it."""

    version: int
    uid: str
    writer: int
    packed: bytes


@dataclass
class Memory:
    """Everything, by object. Only for declared objects, some 300 bytes each.

    `drifts` are the open ones, `ended` the ids of the last ones that are over.
    """

    objects: dict[ObjectKey, Remembered] = field(default_factory=dict)
    drifts: dict[ObjectKey, DriftDetected] = field(default_factory=dict)
    ended: dict[ObjectKey, str] = field(default_factory=dict)
    packers: dict[tuple[str, str], Packer] = field(default_factory=dict)

    def pack(self, key: ObjectKey, live: Object) -> bytes:
        """The comparable form of a live object."""
        return self._packer(key).pack(projection(live))

    def before(self, key: ObjectKey) -> Object | None:
        """The projection that was told last; None for an object that did not exist."""
        known = self.objects.get(key)
        return self._packer(key).unpack(known.packed) if known else None

    def keep(self, key: ObjectKey, live: Object | None, packed: bytes) -> None:
        """Remember a state as told."""
        if live is None:
            self.objects.pop(key, None)
            return
        metadata = live["metadata"]
        version, uid = int(metadata["resourceVersion"]), str(metadata["uid"])
        self.objects[key] = Remembered(version, uid, hash(last_writer(live)), packed)

    def writer(self, key: ObjectKey, live: Object | None) -> Owner | None:
        """Who wrote since the last state: the newest writer, where that is another one or another time than before.

        None where it cannot be told: managedFields has one entry a manager, in whole seconds, and removals leave none.
        """
        known = self.objects.get(key)
        if live is None:
            return None
        newest = last_writer(live)
        return newest if known is None or hash(newest) != known.writer else None

    def keep_drift(self, key: ObjectKey, drift: DriftDetected | None) -> None:
        """Remember the open drift, or that there is none."""
        if drift is None:
            over = self.drifts.pop(key, None)
            if over:
                self.ended[key] = over.drift_id
        else:
            self.drifts[key] = drift

    def _packer(self, key: ObjectKey) -> Packer:
        return self.packers.setdefault((key.group, key.kind), Packer())
