"""A small mutating webhook on loopback, as sidecar injectors and image policies run one, for a real API server.

AdmissionReview v1 over HTTPS. It serves with the throwaway API server's own certificate, which is for 127.0.0.1 and
signed by an authority that the server made for itself, so that no key has to be made here. Every registration holds
for one namespace only and ends with its block; one path a registration, so that each sees its own calls.
"""

import base64
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Any

import orjson
from aiohttp import web

from services.kube.api.errors import Invalid
from services.kube.objects import Object
from services.kube.pointer import resolve, to_pointer
from services.local.controlplane import LocalControlPlane
from tests.fakes import eventually
from tests.watching import Client, config_map, random_name

PROBE = "webhook-probe"
MIRROR = "mirror.example.org/"
STAMP = "webhook.example.org/validated"
GROUP_OF = {"deployments": "apps", "statefulsets": "apps", "daemonsets": "apps", "jobs": "batch", "cronjobs": "batch"}
POD_AT = {"Pod": ("spec",), "CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}


class Mode(StrEnum):
    """What it does to every object that it is shown."""

    SIDECAR = "sidecar"  # adds a container and its volume to the pod template, or to the pod
    IMAGES = "images"  # rewrites every image to come from a mirror
    STAMP = "stamp"  # adds an annotation, but not in a dry-run
    NO_DRY_RUN = "no-dry-run"  # refuses dry-runs with its own 400, as webhooks with side effects do
    BROKEN_DRY_RUN = "broken-dry-run"  # answers a dry-run with HTTP 400 instead of a review
    DENY = "deny"  # refuses everything
    UNDO = "undo"  # sets replicas to 9 again, but not in a dry-run


class Webhooks:
    """The one server of a session; `serving` makes it."""

    def __init__(self, port: int, ca: bytes) -> None:
        self.port, self.ca = port, ca
        self.calls: Counter[str] = Counter()

    @asynccontextmanager
    async def registered(
        self, client: Client, namespace: str, mode: Mode, resources: Sequence[str] = ("deployments",)
    ) -> AsyncIterator[str]:
        """Have the API server ask for these resources of the namespace, from the first line of the block on."""
        name = random_name("webhook")
        obj = self._configuration(name, namespace, mode, resources)
        await client.create(obj)
        try:
            await eventually(lambda: self._asked(client, namespace, name), what=f"{name} is called")
            yield name
        finally:
            await client.delete(obj)

    async def _asked(self, client: Client, namespace: str, name: str) -> bool:
        """Whether the API server knows it by now: shown by a dry-run of what nobody looks at."""
        with suppress(Invalid):  # a refusal is a call too
            await client.cluster.create(config_map(namespace, PROBE), dry_run=True)
        return self.calls[name] > 0

    def _configuration(self, name: str, namespace: str, mode: Mode, resources: Sequence[str]) -> Object:
        rules = [_rule(resource) for resource in (*resources, "configmaps")]
        url = f"https://127.0.0.1:{self.port}/{mode}/{name}"
        webhook = {
            "name": f"{mode}.example.org", "admissionReviewVersions": ["v1"], "sideEffects": "NoneOnDryRun",
            "clientConfig": {"url": url, "caBundle": base64.b64encode(self.ca).decode()}, "rules": rules,
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        }  # fmt: skip
        return {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name}, "webhooks": [webhook],
        }  # fmt: skip

    async def answer(self, request: web.Request) -> web.Response:
        """One AdmissionReview."""
        mode, name = Mode(request.match_info["mode"]), request.match_info["name"]
        self.calls[name] += 1
        asked = orjson.loads(await request.read())["request"]
        if mode is Mode.BROKEN_DRY_RUN and asked.get("dryRun"):
            return web.Response(status=400, text="no dry-run here")
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": _response(mode, asked)}
        return web.Response(body=orjson.dumps(review), content_type="application/json")


def _rule(resource: str) -> Object:
    return {
        "apiGroups": [GROUP_OF.get(resource, "")], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
        "resources": [resource], "scope": "Namespaced",
    }  # fmt: skip


def _response(mode: Mode, asked: Object) -> Object:
    response: Object = {"uid": asked["uid"], "allowed": True}
    dry_run = bool(asked.get("dryRun"))
    if mode is Mode.DENY or (mode is Mode.NO_DRY_RUN and dry_run):
        message = "webhook does not support dry run" if mode is Mode.NO_DRY_RUN else "not on a Tuesday"
        return {**response, "allowed": False, "status": {"code": 400 if dry_run else 403, "message": message}}
    patch = _patch(mode, asked["object"] or {}, dry_run)
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(patch)).decode()}
    return response


def _patch(mode: Mode, obj: Object, dry_run: bool) -> list[dict[str, Any]]:
    """RFC 6902, empty where the object is as the webhook wants it. ConfigMaps are probes or a controller's."""
    if mode is Mode.STAMP:
        return [] if dry_run else _stamp(obj)
    if obj.get("kind") == "ConfigMap":
        return []
    if mode is Mode.UNDO:
        return [] if dry_run else [{"op": "replace", "path": "/spec/replicas", "value": 9}]
    path = POD_AT.get(str(obj.get("kind")), ("spec", "template", "spec"))
    pod = resolve(obj, path)
    if mode is Mode.SIDECAR:
        return _sidecar(pod, to_pointer(path))
    return _images(pod, to_pointer(path)) if mode is Mode.IMAGES else []


def _stamp(obj: Object) -> list[dict[str, Any]]:
    annotations = {**(obj["metadata"].get("annotations") or {}), STAMP: "true"}
    return [{"op": "add", "path": "/metadata/annotations", "value": annotations}]


def _sidecar(pod: Object, at: str) -> list[dict[str, Any]]:
    if any(container["name"] == "proxy" for container in pod["containers"]):
        return []
    mount = {"name": "proxy-data", "mountPath": "/proxy"}
    container = {"name": "proxy", "image": "example.org/proxy:1", "volumeMounts": [mount]}
    others = [volume for volume in pod.get("volumes") or [] if volume["name"] != "proxy-data"]
    volumes = [*others, {"name": "proxy-data", "emptyDir": {}}]
    return [
        {"op": "add", "path": f"{at}/containers/-", "value": container},
        {"op": "add", "path": f"{at}/volumes", "value": volumes},
    ]


def _images(pod: Object, at: str) -> list[dict[str, Any]]:
    images = [(index, container["image"]) for index, container in enumerate(pod["containers"])]
    return [
        {"op": "replace", "path": f"{at}/containers/{index}/image", "value": MIRROR + image}
        for index, image in images
        if not image.startswith(MIRROR)
    ]


@asynccontextmanager
async def serving(plane: LocalControlPlane) -> AsyncIterator[Webhooks]:
    """The server, on a free port of 127.0.0.1, for as long as the block runs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(plane.ca_file, plane.ca_file.with_suffix(".key"))
    app = web.Application(client_max_size=2**24)
    runner = web.AppRunner(app, access_log=None)
    hooks = Webhooks(0, plane.ca_file.read_bytes())
    app.router.add_post("/{mode}/{name}", hooks.answer)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    hooks.port = runner.addresses[0][1]
    try:
        yield hooks
    finally:
        await runner.cleanup()
