"""OCIRepositories on a real API server, and the registry that they name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import OCI_REPOSITORY, SOURCE_GROUP
from gitsync.charts.source import archive_from_files
from gitsync.cluster import Cluster
from gitsync.errors import ArtifactPending, SourceNotReady
from gitsync.runtime.recorder import EventRecorder
from gitsync.runtime.schedule import Schedule
from gitsync.sources.controller import Sources
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifacts
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.controlplane.registry import PASSWORD, USER, Registry
from tests.sources.world import chart


class World:
    """A chart in a registry, and an OCIRepository ``app`` of it."""

    def __init__(self, cluster: Cluster, namespace: str, registry: Registry, directory: Path) -> None:
        self.cluster, self.namespace, self.registry, self._directory = cluster, namespace, registry, directory
        self.key = ObjectKey(SOURCE_GROUP, OCI_REPOSITORY, namespace, "app")
        self.sources: Sources | None = None

    def push(self, version: str) -> str:
        path = self._directory / f"app-{version}.tgz"
        path.write_bytes(archive_from_files({"Chart.yaml": chart("app", version).encode(), "logo.jpg": b"x"}))
        return self.registry.push(path, self.namespace)

    async def secret(self, name: str, data: dict[str, str]) -> None:
        metadata = {"name": name, "namespace": self.namespace}
        await self.cluster.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}, manager="test"
        )

    async def apply(self, **spec: Any) -> None:
        manifest: dict[str, Any] = {
            "apiVersion": f"{SOURCE_GROUP}/v1",
            "kind": OCI_REPOSITORY,
            "metadata": {"name": "app", "namespace": self.namespace},
            "spec": {
                "url": self.registry.url(f"{self.namespace}/app"),
                "interval": "1h",
                "secretRef": {"name": "login"},
                "certSecretRef": {"name": "certs"},
                **spec,
            },
        }
        manifest["spec"] = {name: value for name, value in manifest["spec"].items() if value is not None}
        await self.cluster.apply(manifest, manager="test")

    async def ask(self, token: str) -> None:
        note = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": token}}}
        await self.cluster.patch(self.key, note, manager="test")

    async def version(self) -> str:
        """The version of the chart that a release of it gets now, or the error."""
        assert self.sources is not None
        try:
            return (await self.sources.locate(release(self.namespace))).version
        except (ArtifactPending, SourceNotReady) as error:
            return error.message


def release(namespace: str, kind: str = OCI_REPOSITORY) -> HelmRelease:
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": namespace},
            "spec": {"interval": "5m", "chartRef": {"kind": kind, "name": "app"}},
        }
    )


@pytest.fixture
async def world(
    control_plane: ControlPlane, registry: Registry, namespace: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with serving_namespace(control_plane, namespace) as cluster:
        world = World(cluster, namespace, registry, tmp_path)
        await world.secret("login", {"username": USER, "password": PASSWORD})
        await world.secret("certs", {"ca.crt": registry.ca})
        yield world


async def serving(world: World, stack: AsyncExitStack, directory: Path) -> None:
    """Reconcile the sources while this lasts, as an agent does between its start and its end."""
    fetched = ChartRepositories(directory)
    stack.push_async_callback(fetched.close)
    events = await stack.enter_async_context(EventRecorder(world.cluster, "test").running())
    schedule = Schedule()
    schedule.start()
    stack.callback(schedule.stop)
    world.sources = Sources(world.cluster, fetched, Artifacts(), events, schedule)
    await stack.enter_async_context(world.sources.serving())
