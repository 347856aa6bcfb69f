"""The recorder's rate from the broker into the engine, against plain inserts and against FastStream in the same run."""

import tempfile
from pathlib import Path

from benchmarks.figures import Figure, figure
from benchmarks.record import measure
from services.local.broker import LocalBroker
from services.local.prepare import Parts

NAMES = ("record_to_insert_ratio", "record_to_faststream_ratio")


async def run(parts: Parts) -> tuple[list[Figure], str]:
    """The figures, and the rates as text."""
    with tempfile.TemporaryDirectory(prefix="setpoint-bench-") as folder:
        broker = LocalBroker(Path(folder), parts.kafka.jars, parts.kafka.java)
        try:
            await broker.start()
            found = await measure(broker.bootstrap, Path(folder) / "engine")
        finally:
            await broker.stop()
    words = (
        f"recorded {found['record_rows_per_s']} rows/s, inserted {found['insert_rows_per_s']} rows/s, "
        f"FastStream recorded {found['faststream_rows_per_s']} rows/s"
    )
    return [
        figure("record_to_insert_ratio", found["ratio"], found["rows"]),
        figure("record_to_faststream_ratio", found["to_faststream"], found["rows"]),
    ], words
