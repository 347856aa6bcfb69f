"""HTTP to one API server: credentials from a kubeconfig or from inside a pod, two connection pools, bytes in and out.

Calls and watches have pools of their own, since watches would hold every connection of a shared one. Credentials are
read by kubernetes-asyncio (exec plug-ins, OIDC, certificates); its REST layer is not used: measured there, the typed
decode costs 67 times the raw one and a watch never recovers from 410.
"""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from services.kube.api.applybody import apply_body
from services.kube.api.credentials import loaders
from services.kube.api.errors import Invalid, TimedOut, Unavailable, api_error
from services.kube.api.parsing import parse
from services.runtime.errors import Permanent, UsageError
from services.runtime.settings import IN_CLUSTER

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"  # objects without spec and status
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
CALLS = 64  # connections for calls at once
READ_BUFFER = 2**21
STREAM_BUFFER = 2**17  # of a watch: its lines are dealt with as they come, between objects that stay in memory for good
USER_AGENT = "setpoint"


class Session:
    """One API server. Make it with `connect`."""

    def __init__(self, configuration: Any) -> None:
        self.configuration = configuration
        self.host = str(configuration.host).rstrip("/")
        context = _ssl_context(configuration) if self.host.startswith("https") else False
        self.calls = self._pool(context, CALLS, READ_BUFFER)
        self.watches = self._pool(context, 0, STREAM_BUFFER)

    def _pool(self, context: ssl.SSLContext | bool, limit: int, buffer: int) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=limit, ssl=context, keepalive_timeout=75)
        return aiohttp.ClientSession(
            connector=connector, headers={"User-Agent": USER_AGENT}, read_bufsize=buffer, auto_decompress=True
        )

    async def close(self) -> None:
        """Close both pools."""
        await self.calls.close()
        await self.watches.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: float = 15.0,
    ) -> Any:
        """One call; the parsed answer. `timeout` in seconds. Raises the classes of `services/kube/api/errors.py`."""
        headers = {"Accept": accept, **await self._credentials()}
        if body is not None:
            headers["Content-Type"] = content_type
        data = None if body is None else _written(body, content_type)
        try:
            async with self.calls.request(
                method, self.host + path, params=params, data=data, headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as answer:  # fmt: skip
                raw = await answer.read()
                if answer.status >= 400:
                    raise api_error(answer.status, _parsed(raw), answer.headers)
                return parse(raw) if raw else {}
        except TimeoutError as error:
            raise TimedOut(f"no answer to {method} {path} within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError, orjson.JSONDecodeError) as error:
            raise Unavailable(f"the API server at {self.host} does not answer: {error}") from error

    async def text(self, path: str, params: Mapping[str, str], *, most: int, timeout: float = 15.0) -> str:
        """The answer to a GET as text, at most `most` bytes of it: a container's log. Raises as `request` does."""
        headers = {"Accept": "*/*", **await self._credentials()}
        try:
            async with self.calls.get(
                self.host + path, params=params, headers=headers, timeout=aiohttp.ClientTimeout(total=timeout)
            ) as answer:
                raw = await answer.content.read(most) if answer.status < 400 else await answer.read()
                if answer.status >= 400:
                    raise api_error(answer.status, _parsed(raw), answer.headers)
                return raw.decode("utf-8", "replace")
        except TimeoutError as error:
            raise TimedOut(f"no answer to GET {path} within {timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"the API server at {self.host} does not answer: {error}") from error

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, silence: float, accept: str = JSON
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read as it comes. `silence` is the longest wait for the next byte, in seconds."""
        headers = {"Accept": accept, **await self._credentials()}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence)
        async with self.watches.get(self.host + path, params=params, headers=headers, timeout=timeout) as answer:
            if answer.status >= 400:
                raise api_error(answer.status, _parsed(await answer.read()), answer.headers)
            yield answer

    async def _credentials(self) -> dict[str, str]:
        token = await self.configuration.get_api_key_with_prefix("BearerToken")
        if token:
            return {"Authorization": token}
        if self.configuration.username:
            return {"Authorization": self.configuration.get_basic_auth_token()}
        return {}


async def connect(kubeconfig: Path | None, context: str) -> Session:
    """A session with the cluster that `context` names, or the one around this pod for `in-cluster`.

    Raises UsageError where there is no such file or context: no cluster is ever taken that was not named.
    """
    library = loaders()
    configuration = library.configuration()
    try:
        if context == IN_CLUSTER:
            library.load_in_cluster(client_configuration=configuration)
        else:
            file = kubeconfig.expanduser() if kubeconfig else None
            if file and not file.is_file():
                raise UsageError(f"no kubeconfig at {file}", "Give the right file with --kubeconfig")
            await library.load_kubeconfig(
                config_file=str(file) if file else None,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
    except (library.error, yaml.YAMLError) as error:
        raise UsageError(f"context '{context}' cannot be used: {error}", "See 'kubectl config get-contexts'") from error
    return Session(configuration)


def current_context(kubeconfig: Path) -> str:
    """The context that a kubeconfig itself makes current. Raises UsageError where it names none."""
    try:
        document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{kubeconfig} cannot be read: {error}", "Give the right file with --kubeconfig") from error
    found = document.get("current-context") if isinstance(document, dict) else None
    if not found:
        raise UsageError(f"{kubeconfig} has no current context", "Give --context NAME")
    return str(found)


def _ssl_context(configuration: Any) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    except (OSError, ssl.SSLError) as error:
        raise Permanent(
            f"the cluster's certificates cannot be read: {error}", "Check the kubeconfig's paths"
        ) from error
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # Clusters' own CAs often lack the key usage extensions that Python 3.13 began to insist on.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    return context


def _written(body: Any, content_type: str) -> bytes:
    """Raises Invalid for what is no JSON: nested more than 254 deep, half of a character, a number beyond 64 bits."""
    try:
        return apply_body(body) if content_type == APPLY else orjson.dumps(body)
    except TypeError as error:
        raise Invalid(f"it cannot be sent: {error}", 0, "unwritable") from error


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw[:500].decode("utf-8", "replace")
