"""Events of a watch of the API server, with the time at which each came."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.controlplane.cluster import Cluster
from tests.e2e.background import Background

Manifest = dict[str, Any]
#: Objects as they are now, by ``namespace/name``.
Now = Mapping[str, Manifest]

HELM_RELEASES = "/apis/helm.toolkit.fluxcd.io/v2/helmreleases"
HELM_CHARTS = "/apis/source.toolkit.fluxcd.io/v1/helmcharts"
HELM_REPOSITORIES = "/apis/source.toolkit.fluxcd.io/v1/helmrepositories"
OCI_REPOSITORIES = "/apis/source.toolkit.fluxcd.io/v1/ocirepositories"
GIT_REPOSITORIES = "/apis/source.toolkit.fluxcd.io/v1/gitrepositories"
KUSTOMIZATIONS = "/apis/kustomize.toolkit.fluxcd.io/v1/kustomizations"
DEPLOYMENTS = "/apis/apps/v1/deployments"
STATEFUL_SETS = "/apis/apps/v1/statefulsets"


@dataclass(frozen=True)
class Seen:
    """One event. ``at`` is when it arrived (time.monotonic), ``revision`` the object's resourceVersion, which orders
    the changes of all objects of a cluster with one etcd.
    """

    at: float
    type: str
    key: str
    manifest: Manifest

    @property
    def revision(self) -> int:
        return int(self.manifest["metadata"]["resourceVersion"])


def says(words: str) -> Callable[[Seen], bool]:
    """Whether an object's Ready condition has these words in its message."""
    return lambda seen: words in str(condition(seen.manifest, "Ready").get("message", ""))


class Watch:
    """All objects of one kind, in all namespaces, from the moment on that the kind exists."""

    def __init__(self, background: Background, cluster: Cluster, path: str) -> None:
        self._cluster = cluster
        self._path = path
        self._news = threading.Condition()
        self._now: dict[str, Manifest] = {}
        self._ended = threading.Event()
        self.seen: list[Seen] = []
        self._task: Future[None] = background.start(self._run())

    def close(self) -> None:
        self._task.cancel()
        assert self._ended.wait(60), "the watch did not end"

    def until(self, done: Callable[[Now], bool], what: str, timeout: float = 120.0) -> None:
        """Return when ``done`` is true of the objects."""
        with self._news:
            if not self._news.wait_for(lambda: done(self._now), timeout):
                raise AssertionError(f"not {what} within {timeout:g}s:\n{self._stand()}")

    def get(self, key: str) -> Manifest:
        """An object that exists."""
        with self._news:
            assert key in self._now, f"{key} is not there, but {sorted(self._now)}"
            return self._now[key]

    def of(self, key: str) -> list[Seen]:
        """All events about one object, in order."""
        with self._news:
            return [seen for seen in self.seen if seen.key == key]

    def first(self, key: str, wanted: Callable[[Seen], bool], timeout: float = 120.0) -> Seen:
        """The first event of an object of which ``wanted`` is true; waits for it."""

        def found() -> list[Seen]:
            return [seen for seen in self.seen if seen.key == key and wanted(seen)]

        with self._news:
            if not self._news.wait_for(found, timeout):
                said = [(seen.type, ready_text(seen.manifest)) for seen in self.seen if seen.key == key]
                raise AssertionError(f"this was never said of {key}: {said}")
            return found()[0]

    def _stand(self) -> str:
        return "\n".join(f"  {key}: {ready_text(manifest)}" for key, manifest in sorted(self._now.items())) or "  none"

    async def _run(self) -> None:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=str(self._cluster.ca_file))
        headers = {"Authorization": f"Bearer {self._cluster.token}"}
        try:
            async with aiohttp.ClientSession(
                self._cluster.server,
                headers=headers,
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=aiohttp.ClientTimeout(total=None),
                read_bufsize=4 << 20,
            ) as session:
                while True:
                    await self._follow(session)
                    await asyncio.sleep(0.05)  # no event says that a kind is there
        finally:
            self._ended.set()

    async def _follow(self, session: aiohttp.ClientSession) -> None:
        """List, then watch from there; returns when the kind does not exist or the stream has ended."""
        async with session.get(self._path) as response:
            if response.status != 200:
                return
            listed = await response.json()
        revision = listed["metadata"]["resourceVersion"]
        present = {_key(item): item for item in listed["items"]}
        with self._news:
            for key in [key for key in self._now if key not in present]:
                self._take("DELETED", self._now[key])
            for item in present.values():
                self._take("ADDED", item)
            self._news.notify_all()
        async with session.get(self._path, params={"watch": "1", "resourceVersion": revision}) as response:
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                with self._news:
                    self._take(event["type"], event["object"])
                    self._news.notify_all()

    def _take(self, kind: str, manifest: Manifest) -> None:
        key = _key(manifest)
        if kind == "DELETED":
            self._now.pop(key, None)
        else:
            self._now[key] = manifest
        self.seen.append(Seen(time.monotonic(), kind, key, manifest))


def _key(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else str(metadata["name"])


def condition(manifest: Manifest, kind: str) -> dict[str, Any]:
    """A condition of an object; {} when it has none of that type."""
    for item in (manifest.get("status") or {}).get("conditions") or ():
        if item["type"] == kind:
            return dict(item)
    return {}


def is_ready(manifest: Manifest | None) -> bool:
    """Ready at its present generation."""
    if manifest is None:
        return False
    status = manifest.get("status") or {}
    current = status.get("observedGeneration") == manifest["metadata"]["generation"]
    return current and condition(manifest, "Ready").get("status") == "True"


def ready_text(manifest: Manifest) -> str:
    """The Ready condition in one line, for a failing test's message."""
    found = condition(manifest, "Ready")
    generation = manifest["metadata"].get("generation")
    return f"generation {generation}: {found.get('status')} {found.get('reason')}: {found.get('message')}"
