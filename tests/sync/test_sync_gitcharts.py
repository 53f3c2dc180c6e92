"""Charts in the synced repository with valuesFiles, which Flux counts from the repository's root."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import CommitInfo
from gitsync.errors import ValuesError
from gitsync.git import GitSource, Mirror
from gitsync.sources.charts.chart import ChartArtifact, WantedChart
from gitsync.sources.charts.dependencies import LocalDependencies
from gitsync.sources.charts.helmchart import TreeCharts, content_id
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.artifacts import Artifact
from gitsync.sources.resolve.repositories import CommitHelmRepositories
from tests.git.git_world import Repository

CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "charts/app/values.yaml": "a: chart\nb: chart\n",
    "env/prod.yaml": "b: prod\n",
    "notes.md": "1",
}


def release(*values_files: str, **spec: Any) -> HelmRelease:
    chart = {
        "chart": "./charts/app",
        "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
        "valuesFiles": list(values_files),
        **spec,
    }
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "default"},
            "spec": {"interval": "5m", "chart": {"spec": chart}},
        }
    )


def asked(release: HelmRelease) -> WantedChart:
    wanted = WantedChart.of(release)
    assert wanted is not None
    return wanted


class World:
    """A repository, its mirror, and the charts found there."""

    def __init__(self, origin: Repository, directory: Path) -> None:
        self.origin = origin
        self.mirror = Mirror(GitSource(str(origin.path)), directory / "mirror")
        self.fetched = ChartRepositories(directory / "charts")
        self.artifact: Artifact | None = None

    async def commit(self, files: dict[str, str]) -> Artifact:
        commit = await self.mirror.fetch(self.origin.commit(files))
        self.artifact = Artifact(CommitInfo(commit.id), await self.mirror.artifact(commit.id))
        return self.artifact

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        assert self.artifact is not None
        charts = TreeCharts(CommitHelmRepositories(self.fetched, {}), self.fetched)
        return await charts.locate(asked(release), self.artifact)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(Repository.make(tmp_path / "origin"), tmp_path)
    yield world
    await world.fetched.close()
    await world.mirror.close()


async def values(world: World, wanted: HelmRelease) -> tuple[str, dict[str, Any]]:
    artifact = await world.locate(wanted)
    return artifact.digest, (await artifact.load()).values


async def test_files_are_counted_from_the_root_of_the_repository(world: World) -> None:
    await world.commit(CHART)
    wanted = release("./charts/app/values.yaml", "env/prod.yaml")
    assert (await values(world, wanted))[1] == {"a": "chart", "b": "prod"}
    assert (await values(world, release("env/prod.yaml")))[1] == {"b": "prod"}
    assert (await values(world, release()))[1] == {"a": "chart", "b": "chart"}


async def test_a_file_that_changes_is_another_chart_and_nothing_else_is(world: World) -> None:
    wanted = release("env/prod.yaml")
    first = await world.commit(CHART)
    digest, _ = await values(world, wanted)
    second = await world.commit({"notes.md": "2", "env/other.yaml": "b: other"})
    assert (await values(world, wanted))[0] == digest
    third = await world.commit({"env/prod.yaml": "b: changed"})
    assert await values(world, wanted) == ((await world.locate(wanted)).digest, {"b": "changed"})
    ids = [
        await content_id(asked(wanted), artifact, LocalDependencies(world.fetched.charts.workers))
        for artifact in (first, second, third)
    ]
    assert ids[0] == ids[1] != ids[2]
    assert (await world.locate(wanted)).digest != digest


async def test_by_revision_each_commit_is_another_chart_with_the_commit_in_its_version(world: World) -> None:
    wanted = release(reconcileStrategy="Revision")
    first = await world.commit(CHART)
    found = await world.locate(wanted)
    assert found.version == f"1.0.0+{first.commit.id[:12]}"
    assert (await found.load()).version == found.version
    second = await world.commit({"notes.md": "2"})
    assert (await world.locate(wanted)).version == f"1.0.0+{second.commit.id[:12]}"
    assert (await world.locate(wanted)).digest != found.digest
    local = LocalDependencies(world.fetched.charts.workers)
    assert await content_id(asked(wanted), first, local) != await content_id(asked(wanted), second, local)


@pytest.mark.parametrize("path", ["nowhere.yaml", "no/folder.yaml", "../outside.yaml", "/etc/hostname", "env"])
async def test_a_file_that_is_not_there_is_named(world: World, path: str) -> None:
    await world.commit(CHART)
    with pytest.raises(ValuesError, match=f"chart app 1.0.0 has no values file '{path}'"):
        await values(world, release(path))
    assert (await values(world, release(path, ignoreMissingValuesFiles=True)))[1] == {}
