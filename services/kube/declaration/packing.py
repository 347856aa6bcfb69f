"""Keep an object in some hundred bytes: JSON, deflated against the first object of its kind.

Objects of one kind share their structure, so the first one is a good dictionary; measured, a Deployment of 2 KB of
JSON takes about 200 bytes. Equal objects have equal packed forms, so that they can be compared without unpacking.
"""

import marshal
import zlib

import orjson

from services.kube.objects import Object, metadata_of

METADATA_KEPT = ("labels", "annotations", "finalizers", "ownerReferences")
RAW = -15
WINDOW = 32768
ODD = b"\0"  # no JSON begins so


class Packer:
    """For one kind."""

    def __init__(self) -> None:
        self.dictionary = b""

    def pack(self, obj: Object) -> bytes:
        """Deflated JSON."""
        text = _dumped(obj)
        if not self.dictionary:
            self.dictionary = text[-WINDOW:]
        engine = zlib.compressobj(3, zlib.DEFLATED, RAW, 8, zlib.Z_DEFAULT_STRATEGY, self.dictionary)
        return engine.compress(text) + engine.flush()

    def unpack(self, packed: bytes) -> Object:
        """The object again."""
        text = zlib.decompressobj(RAW, self.dictionary).decompress(packed)
        found: Object = marshal.loads(text[1:]) if text[:1] == ODD else orjson.loads(text)
        return found


def _dumped(obj: Object) -> bytes:
    """JSON; for what orjson takes for none (deeper than 254, half a surrogate pair, beyond 64 bits) Python's own form.

    That is of this process alone, as packed objects are. Its version 2 is the same for equal objects.
    """
    try:
        return orjson.dumps(obj)
    except TypeError:
        return ODD + marshal.dumps(obj, 2)


def projection(live: Object) -> Object:
    """What of a live object anybody may have changed on purpose: no status, no bookkeeping of the server."""
    bare = {name: value for name, value in live.items() if name not in ("apiVersion", "kind", "status", "metadata")}
    metadata = metadata_of(live)
    bare["metadata"] = {name: metadata[name] for name in METADATA_KEPT if name in metadata}
    return bare
