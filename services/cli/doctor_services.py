"""What services say of themselves to `setpoint doctor`: the `/ready` of each, the gateway's among them.

A service that answers "not ready" names what it lacks; the lines are shown as they are.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping

import aiohttp

from services.cli.checks import Check
from services.runtime.errors import UsageError

TIMEOUT = aiohttp.ClientTimeout(total=5)
FIX = "look at its log; it becomes ready by itself once that is there"
START = "start it, or name the address that SETPOINT_HTTP_PORT gave it"


async def services(addresses: Mapping[str, str]) -> AsyncIterator[Check]:
    """One line a service. `addresses` are URLs without a path, by name."""
    async with aiohttp.ClientSession(timeout=TIMEOUT) as client:
        for name, url in addresses.items():
            yield await _asked(client, name, url)


def named(urls: Iterable[str]) -> dict[str, str]:
    """The addresses that were given, which are their own names. Raises UsageError where one is no URL."""
    found = {}
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"'{url}' is no address of a service", "Give it as http://HOST:PORT")
        address = url.rstrip("/").removesuffix("/ready")
        found[address] = address
    return found


async def _asked(client: aiohttp.ClientSession, name: str, url: str) -> Check:
    try:
        async with client.get(f"{url}/ready") as answer:
            said = json.loads(await answer.text())
            service, problems, notes = str(said["service"]), dict(said["problems"]), dict(said.get("notes", {}))
    except (aiohttp.ClientError, TimeoutError) as error:
        return Check("services", name, False, f"{url} does not answer: {error}", START, away=True)
    except (ValueError, KeyError, TypeError):
        return Check("services", name, False, f"{url} is no health address of Setpoint's", START)
    what = service if name == url else name
    if problems:
        return Check("services", what, False, _words(problems), FIX)
    return Check("services", what, True, "; ".join(filter(None, ("ready", _words(notes)))))


def _words(said: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {line}" for name, line in said.items())
