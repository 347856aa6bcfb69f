"""Samples as the gateway puts them on their topic: what tests of the recorder produce, and what they add up to."""

from datetime import UTC, datetime, timedelta

from schemas.topics import TopicName
from services.gateway.remote_write_reading import Form, Reader
from services.runtime.kafka import Outgoing
from services.runtime.sampleblocks import CONTENT_TYPE
from tests.remote_write import request1, series1

NOW = datetime.now(UTC).replace(microsecond=0)
SECOND = timedelta(seconds=1)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def blocks(sender: str, body: bytes, form: Form = Form.ONE) -> list[Outgoing]:
    """As the gateway puts them on the topic."""
    written = Reader().read(form, body, sender, datetime.now(UTC))
    assert not written.rejected
    return [Outgoing(TopicName.SAMPLES, sender.encode(), block, content_type=CONTENT_TYPE) for block in written.blocks]


def scrape(sender: str, step: int, series: int = 50) -> list[Outgoing]:
    """The `step`-th of a sender's scrapes, 15 s apart: `series` series of `m`, valued step × 1000 + series."""
    time = ms(NOW + step * 15 * SECOND - timedelta(days=1))
    return blocks(
        sender,
        request1(
            *(series1({"__name__": "m", "n": str(n), "job": "x"}, [(time, step * 1000.0 + n)]) for n in range(series))
        ),
    )


def expected(steps: int, series: int = 50) -> tuple[int, int, float]:
    total = sum(step * 1000.0 + n for step in range(steps) for n in range(series))
    return steps * series, series, total
