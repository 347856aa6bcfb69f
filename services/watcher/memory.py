"""What the watcher remembers of each declared object: its last published state, packed, and its drifts."""

from dataclasses import dataclass, field
from struct import Struct

from schemas.events import DriftDetected
from services.kube.declaration.packing import Packer, projection
from services.kube.objects import Object, ObjectKey
from services.kube.writers.ownership import Owner, last_writer
from services.kube.writers.traces import ENTRY, traces, who_moved

HEAD = Struct("<qIBB")  # version, second when seen, number of traces, length of the uid


class Remembered:
    """One object that exists. `packed` is its projection as last told, `traces` are who had written it and when.

    `seen` is the second in which it was last found so. Held as one piece of bytes, which takes half of what six Python
    objects would.
    """

    __slots__ = ("held",)

    def __init__(self, version: int, uid: str, seen: int, traces: bytes, packed: bytes) -> None:
        name = uid.encode()
        self.held = HEAD.pack(version, seen, len(traces) // ENTRY.size, len(name)) + traces + name + packed

    @property
    def version(self) -> int:
        return int(HEAD.unpack_from(self.held)[0])

    @version.setter
    def version(self, version: int) -> None:
        self.held = HEAD.pack(version, *HEAD.unpack_from(self.held)[1:]) + self.held[HEAD.size :]

    @property
    def seen(self) -> int:
        return int(HEAD.unpack_from(self.held)[1])

    @property
    def traces(self) -> bytes:
        return self.held[HEAD.size : self._ends()[0]]

    @property
    def uid(self) -> str:
        return self.held[slice(*self._ends())].decode()

    @property
    def packed(self) -> bytes:
        return self.held[self._ends()[1] :]

    def found_again(self, version: int, seen: int, traces: bytes) -> None:
        """The same state was written once more, as every report of a status is."""
        before, _, _, name = HEAD.unpack_from(self.held)
        rest = self.held[self._ends()[0] :]
        self.held = HEAD.pack(max(before, version), seen, len(traces) // ENTRY.size, name) + traces + rest

    def _ends(self) -> tuple[int, int]:
        """Where the traces and where the uid end."""
        _, _, count, name = HEAD.unpack_from(self.held)
        first = HEAD.size + int(count) * ENTRY.size
        return first, first + int(name)


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

    def keep(self, key: ObjectKey, live: Object | None, packed: bytes, seen: float = 0) -> None:
        """Remember a state as told; `seen` is when, as a POSIX time."""
        if live is None:
            self.objects.pop(key, None)
            return
        metadata = live["metadata"]
        version, uid = int(metadata["resourceVersion"]), str(metadata["uid"])
        self.objects[key] = Remembered(version, uid, int(seen), traces(live), packed)

    def writer(self, key: ObjectKey, live: Object | None) -> Owner | None:
        """Who wrote since the last state; at the first sight of an object, who wrote last.

        None where it cannot be told.
        """
        known = self.objects.get(key)
        if live is None:
            return None
        return last_writer(live) if known is None else who_moved(live, known.traces)

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
