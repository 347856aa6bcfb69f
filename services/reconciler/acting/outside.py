"""The real `Outside`: other systems' HTTP interfaces, and the operator's secrets for them.

No redirect is followed and no proxy of the environment is taken, so that a request goes where the policy says and
nowhere else. An answer is read up to a bound. Errors name the host, never the url, which may hold a secret.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from services.kube.api.errors import Invalid, TimedOut, Unavailable

LONGEST = 64 * 1024  # bytes of an answer
LONGEST_LIST = 4 * 1024 * 1024  # of a GET: Alertmanager keeps ended silences for days
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,250}[A-Za-z0-9])?")
USER_AGENT = "setpoint"


class HttpOutside:
    """Over one session. `secrets` is a folder with a file for each, such as a mounted Kubernetes Secret."""

    def __init__(self, session: aiohttp.ClientSession, secrets: Path | None) -> None:
        self.session, self.secrets = session, secrets

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        """The status, and at most 64 KiB of the answer. Raises Unavailable, TimedOut, and Invalid for a url that is
        none."""
        return await self._send("POST", url, body, headers, timeout, LONGEST)

    async def delete(self, url: str, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        """In the same way."""
        return await self._send("DELETE", url, None, headers, timeout, LONGEST)

    async def get(self, url: str, headers: Mapping[str, str], *, timeout: float) -> tuple[int, bytes]:
        """In the same way, at most 4 MiB."""
        return await self._send("GET", url, None, headers, timeout, LONGEST_LIST)

    def secret(self, name: str) -> bytes | None:
        """The file's content without white space around it; None where there is no such file in the folder itself."""
        if self.secrets is None or not NAME.fullmatch(name):
            return None
        file = self.secrets / name
        if not file.is_file() or not file.resolve().is_relative_to(self.secrets.resolve()):
            return None
        with file.open("rb") as opened:
            return opened.read(LONGEST).strip() or None

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], timeout: float, most: int
    ) -> tuple[int, bytes]:
        host = urlsplit(url).hostname or "the url"
        try:
            async with self.session.request(
                method, url, data=body, headers=headers, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as answer:  # fmt: skip
                return answer.status, await _read(answer.content, most)
        except TimeoutError as error:
            raise TimedOut(f"{host} has not answered within {timeout:g} s") from error
        except (aiohttp.InvalidURL, ValueError):
            raise Invalid(f"{host} cannot be asked: the url or a header is malformed", 0, "invalid") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{host} does not answer: {type(error).__name__}") from error


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    """At most so many bytes; the rest stays unread, and the connection is closed with it."""
    found = bytearray()
    while len(found) < most:
        part = await content.read(most - len(found))
        if not part:
            break
        found += part
    return bytes(found)


@asynccontextmanager
async def open_outside(secrets: Path | None) -> AsyncIterator[HttpOutside]:
    """An `Outside` for the length of a block."""
    headers = {"User-Agent": USER_AGENT}
    async with aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False) as session:
        yield HttpOutside(session, secrets)
