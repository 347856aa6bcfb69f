"""What the watcher remembers of each declared object: its last published state, packed, and its drifts."""

from dataclasses import dataclass, field
from struct import Struct

from schemas.events import DriftDetected
from services.kube.objects import Object, ObjectKey
from services.kube.ownership import Owner, last_writer
from services.kube.packing import Packer, projection

HEAD = Struct("<qqB")  # version, writer, length of the uid


class Remembered:
    """One object that exists. `packed` is its projection as last told, `writer` a hash of who had written it.

    Held as one piece of bytes, which takes half of what five Python objects would.
    """

    __slots__ = ("held",)

    def __init__(self, version: int, uid: str, writer: int, packed: bytes) -> None:
        name = uid.encode()
        self.held = HEAD.pack(version, writer, len(name)) + name + packed

    @property
    def version(self) -> int:
        return int(HEAD.unpack_from(self.held)[0])

    @version.setter
    def version(self, version: int) -> None:
        self.held = HEAD.pack(version, *HEAD.unpack_from(self.held)[1:]) + self.held[HEAD.size :]

    @property
    def writer(self) -> int:
        return int(HEAD.unpack_from(self.held)[1])

    @property
    def uid(self) -> str:
        return self.held[HEAD.size : self._end()].decode()

    @property
    def packed(self) -> bytes:
        return self.held[self._end() :]

    def _end(self) -> int:
        """Where the uid ends."""
        return HEAD.size + int(HEAD.unpack_from(self.held)[2])


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
