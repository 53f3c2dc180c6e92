"""The page on a real API server, of which it shows one namespace; and objects as an agent leaves them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest_asyncio

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster import Cluster
from gitsync.web.ui import Page
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane

COMMIT = "3f2a91c0d1b2e3f405162738495a6b7c8d9e0f10"


@dataclass
class Visitor:
    """A client that has the printed address. ``base`` is the page's URL without its key."""

    session: aiohttp.ClientSession
    address: str
    page: Page

    @property
    def base(self) -> str:
        return self.address.partition("/?")[0].rstrip("/")

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(self.base + path, headers=headers, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, data: dict[str, str], **headers: str) -> tuple[int, str]:
        sent = {"Origin": self.base, **headers}
        async with self.session.post(self.base + path, data=data, headers=sent, allow_redirects=False) as answer:
            return answer.status, await answer.text()


@dataclass
class World:
    """Writes objects, with the statuses that an agent would give them."""

    cluster: Cluster
    namespace: str

    async def release(self, name: str, *, needs: tuple[str, ...] = (), **parts: Any) -> Manifest:
        spec = {
            "interval": "5m",
            "chart": {"spec": {"chart": name, "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
            "dependsOn": [{"name": need} for need in needs],
            **parts.get("spec", {}),
        }
        return await self._made("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, spec, parts)

    async def source(self, name: str = "charts", **parts: Any) -> Manifest:
        spec = {"interval": "5m", "url": "https://charts.example/stable", **parts.get("spec", {})}
        return await self._made("source.toolkit.fluxcd.io/v1", "HelmRepository", name, spec, parts)

    async def chart(self, name: str, **labels: str) -> Manifest:
        spec = {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "charts"}, "interval": "5m"}
        return await self._made("source.toolkit.fluxcd.io/v1", "HelmChart", name, spec, {"labels": labels})

    async def say(
        self, manifest: Manifest, status: str = "True", reason: str = "Succeeded", message: str = "", **more: Any
    ) -> Manifest:
        """Set an object's status."""
        generation = manifest["metadata"]["generation"]
        ready = {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "observedGeneration": generation,
        }
        body = {"status": {"observedGeneration": generation, "conditions": [ready], **more}}
        return await self.cluster.patch(ObjectKey.of(manifest), body, manager="test", subresource="status")

    async def _made(self, version: str, kind: str, name: str, spec: Manifest, parts: dict[str, Any]) -> Manifest:
        annotations = {
            "gitsync.dev/commit": COMMIT,
            "gitsync.dev/commit-author": "Ann",
            "gitsync.dev/commit-subject": f"{name}: begin",
            "gitsync.dev/origin": f"fleet/{name}.yaml:1:1",
            **parts.get("annotations", {}),
        }
        manifest = {
            "apiVersion": version,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "annotations": annotations,
                "labels": parts.get("labels", {}),
            },
            "spec": spec,
        }
        return await self.cluster.apply(manifest, manager="test")


@pytest_asyncio.fixture
async def cluster(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Cluster]:
    async with serving_namespace(control_plane, namespace) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def world(cluster: Cluster, namespace: str) -> World:
    return World(cluster, namespace)


@pytest_asyncio.fixture
async def visitor(cluster: Cluster, namespace: str) -> AsyncIterator[Visitor]:
    """A client that has opened the printed address."""
    async with visiting(cluster, namespace) as found:
        yield found


def visiting(cluster: Cluster, namespace: str) -> Visiting:
    """A page of a namespace, and a visitor of it."""
    return Visiting(Page(cluster, (namespace, "gitsync"), namespace))


class Visiting:
    """A visitor of a page for as long as it is entered."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._serving = page.serving()

    async def __aenter__(self) -> Visitor:
        address = await self._serving.__aenter__()
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        async with self._session.get(address) as answer:
            assert answer.status == 200
        return Visitor(self._session, address, self._page)

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._serving.__aexit__(None, None, None)
