"""The gateway's way to the broker: a record counts as taken only once all replicas have it.

The producer is made, and made anew, beside the requests, so that a sender hears 503 and not a closed door while the
broker is away. Nothing is buffered here: who sends keeps it and sends again.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from services.runtime.backoff import Backoff
from services.runtime.clock import Clock
from services.runtime.errors import Temporary
from services.runtime.kafka import KafkaError, Outgoing, make_producer, send_all, started
from services.runtime.logging import Log

ACKNOWLEDGED_S = 15.0


class Sink:
    """Use `run` as a task. `producer` is None while there is none."""

    def __init__(self, bootstrap: str, clock: Clock, log: Log, within: float = ACKNOWLEDGED_S) -> None:
        self.bootstrap, self.clock, self.log, self.within = bootstrap, clock, log, within
        self.producer: AIOKafkaProducer | None = None
        self.trouble: str | None = "the broker was not reached yet"

    async def run(self) -> None:
        """Keep a producer until cancelled."""
        backoff = Backoff(first=0.5)
        while True:
            try:
                async with started(make_producer(self.bootstrap, client_id="setpoint-gateway")) as producer:
                    self.producer, self.trouble = producer, None
                    await asyncio.Event().wait()  # the producer finds the broker again by itself
            except Temporary as error:
                wait = backoff.next()
                self.trouble = str(error)
                self.log.warning("the broker is away", error=str(error), wait_s=round(wait, 2))
                await self.clock.sleep(wait)
            finally:
                self.producer = None

    async def put(self, records: Sequence[Outgoing]) -> None:
        """Return when all replicas have all of them. Raises Temporary otherwise; some may have arrived then."""
        if not records:
            return
        if self.producer is None:
            raise Temporary(self.trouble or "the broker was not reached yet")
        try:
            async with asyncio.timeout(self.within):
                await send_all(self.producer, records)
        except TimeoutError:
            self.trouble = f"the broker has not taken records within {self.within:g} s"
            raise Temporary(self.trouble) from None
        except KafkaError as error:
            self.trouble = f"the broker refuses records: {error}"
            raise Temporary(self.trouble) from error
        self.trouble = None

    def problem(self) -> str | None:
        """Why requests are answered with 503, for readiness."""
        return self.trouble
