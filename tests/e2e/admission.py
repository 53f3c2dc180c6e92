"""A webhook for admission that takes long to answer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

from tests.charts.certificates import Authority
from tests.charts.servers import serving
from tests.controlplane.cluster import Cluster
from tests.e2e.background import Background

_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
#: Seconds that the API server waits for the webhook: the most that may be configured.
_PATIENCE = 30


@contextmanager
def slow_to_admit(
    background: Background, cluster: Cluster, folder: Path, namespace: str, seconds: float
) -> Iterator[None]:
    """While it lasts, each write of a ConfigMap to a namespace takes so many seconds."""

    async def admit(request: web.Request) -> web.StreamResponse:
        review = await request.json()
        await asyncio.sleep(seconds)  # which is what it is there for
        answer = {"uid": review["request"]["uid"], "allowed": True}
        return web.json_response({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer})

    authority = Authority()
    context = serving(admit, authority.server_context(folder))
    server = background.run(context.__aenter__())
    name = f"{namespace}.slow.example.org"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"]}
    webhook = {
        "name": name,
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "clientConfig": {"url": server.url, "caBundle": base64.b64encode(authority.pem.encode()).decode()},
        "timeoutSeconds": _PATIENCE,
        "failurePolicy": "Ignore",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    cluster.request("POST", _WEBHOOKS, {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        yield
    finally:
        cluster.request("DELETE", f"{_WEBHOOKS}/{name}")
        background.run(context.__aexit__(None, None, None))
