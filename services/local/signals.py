"""Wait for Ctrl-C or SIGTERM without a traceback."""

import asyncio
import signal


async def stopped() -> None:
    """Return at SIGINT or SIGTERM."""
    stop = stop_event()
    await stop.wait()


def stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. For the main thread's loop."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
