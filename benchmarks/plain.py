"""The least that a client can do: list all objects in pages, parse them, and keep them.

A process of its own, so that its memory can be told: `python -m benchmarks.plain URL TOKEN_FILE CA_FILE`.
"""

import asyncio
import json
import resource
import ssl
import sys
import time
from pathlib import Path

import aiohttp
import orjson

from benchmarks.objects import COLLECTIONS
from services.kube.objects import Object
from services.runtime.errors import Permanent

PAGE = 500  # client-go's
ROOT = Path(__file__).parents[1]


async def list_all(session: aiohttp.ClientSession) -> list[Object]:
    """Every object of the benchmarks' kinds."""
    found: list[Object] = []
    for path in COLLECTIONS.values():
        token = ""
        while True:
            async with session.get(path, params={"limit": str(PAGE), "continue": token}) as answer:
                page = orjson.loads(await answer.read())
            found += page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                break
    return found


async def measure(url: str, token: str, authority: str) -> dict[str, float]:
    """One such list."""
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=authority))
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as session:
        began, cpu = time.monotonic(), time.process_time()
        found = await list_all(session)
        took, spent = time.monotonic() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took, "cpu": spent, "mib": peak, "objects": len(found)}


async def in_its_own_process(url: str, token: str, authority: Path, folder: Path) -> dict[str, float]:
    """The same from another process."""
    file = folder / "plain.token"
    file.write_text(token, encoding="utf-8")
    file.chmod(0o600)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.plain",
        url,
        str(file),
        str(authority),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    output, _ = await child.communicate()
    if child.returncode:
        raise Permanent(f"the plain list failed with {child.returncode}")
    found: dict[str, float] = json.loads(output)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1], Path(sys.argv[2]).read_text(encoding="utf-8"), sys.argv[3]))))
