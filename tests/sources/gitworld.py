"""GitRepositories on a real API server, and the Git servers that they name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.conditions import condition_of
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY, SOURCE_GROUP
from gitsync.cluster import Cluster
from gitsync.errors import ArtifactPending, ChartError, GitUnavailable, SourceNotReady
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.sources.controller import Sources
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifacts
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.git.git_world import HttpGit, Repository, http_git
from tests.sources.world import chart, config_map


class World:
    """A repository ``fleet`` behind a server, and GitRepositories of it."""

    def __init__(self, cluster: Cluster, namespace: str, origin: Repository, url: str) -> None:
        self.cluster, self.namespace, self.origin, self.url = cluster, namespace, origin, url
        self.artifacts = Artifacts()
        self.sources: Sources | None = None
        self.fetched: ChartRepositories | None = None

    def key(self, name: str = "app") -> ObjectKey:
        return ObjectKey(SOURCE_GROUP, GIT_REPOSITORY, self.namespace, name)

    def commit(self, version: str, more: Mapping[str, str | bytes | None] | None = None) -> str:
        """A commit with the chart ``app`` in this version."""
        files = {"charts/app/Chart.yaml": chart("app", version), "charts/app/templates/cm.yaml": config_map("app")}
        return self.origin.commit({**files, **(more or {})}, f"version {version}")

    async def secret(self, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        await self.cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}, manager="test"
        )

    async def apply(self, name: str = "app", **spec: Any) -> None:
        manifest: dict[str, Any] = {
            "apiVersion": f"{SOURCE_GROUP}/v1",
            "kind": GIT_REPOSITORY,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"url": f"{self.url}/fleet", "interval": "1h", "ref": {"branch": "main"}, **spec},
        }
        manifest["spec"] = {name: value for name, value in manifest["spec"].items() if value is not None}
        await self.cluster.apply(manifest, manager="test")

    async def ask(self, name: str, token: str) -> None:
        note = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}
        await self.cluster.patch(self.key(name), note, manager="test")

    async def version(self, name: str = "app") -> str:
        """The version of the chart that a release of it gets now, or the error."""
        assert self.sources is not None
        try:
            return (await self.sources.locate(release(self.namespace, name))).version
        except (ArtifactPending, SourceNotReady, ChartError, GitUnavailable) as error:
            return error.message

    async def status(self, name: str = "app") -> dict[str, Any]:
        found = await self.cluster.find(self.key(name))
        return (found or {}).get("status") or {}

    async def is_ready(self, name: str = "app", revision: str = "") -> bool:
        """Whether it is ready at its present generation."""
        found = await self.cluster.find(self.key(name)) or {}
        status = found.get("status") or {}
        is_seen = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
        has = str((status.get("artifact") or {}).get("revision", ""))
        is_true = condition_of(found, "Ready").get("status") == "True"
        return is_seen and is_true and (not revision or has == revision)

    async def fails(self, reason: str, words: str, name: str = "app", kind: str = "FetchFailed") -> bool:
        found = {"status": await self.status(name)}
        ready, failed = condition_of(found, "Ready"), condition_of(found, kind)
        said = (ready.get("status"), failed.get("status"), ready.get("reason"), failed.get("reason"))
        return said == ("False", "True", reason, reason) and words in str(ready.get("message"))


def release(namespace: str, name: str = "app", path: str = "charts/app", **spec: Any) -> HelmRelease:
    source = {"kind": GIT_REPOSITORY, "name": name}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"interval": "5m", "chart": {"spec": {"chart": path, "sourceRef": source, **spec}}},
        }
    )


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "served" / "fleet")


@pytest.fixture
async def server(origin: Repository) -> AsyncIterator[HttpGit]:
    async with http_git(origin.path.parent) as server:
        yield server


@pytest.fixture
async def world(
    control_plane: ControlPlane, namespace: str, origin: Repository, server: HttpGit
) -> AsyncIterator[World]:
    async with serving_namespace(control_plane, namespace) as cluster:
        yield World(cluster, namespace, origin, server.url)


async def serving(world: World, stack: AsyncExitStack, directory: Path) -> None:
    """Reconcile the sources while this lasts, as an agent does between its start and its end."""
    world.fetched = ChartRepositories(directory)
    stack.push_async_callback(world.fetched.close)
    events = await stack.enter_async_context(EventRecorder(world.cluster, "test").running())
    schedule = Schedule()
    schedule.start()
    stack.callback(schedule.stop)
    world.sources = Sources(world.cluster, world.fetched, world.artifacts, events, schedule)
    await stack.enter_async_context(world.sources.serving())


@pytest.fixture
async def served(world: World, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        yield world


async def has(world: World, name: str, version: str) -> bool:
    return await world.version(name) == version
