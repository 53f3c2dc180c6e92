"""A repository with charts: what gitsync renders of them, and what helm renders of a checkout of the same."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.sources import HelmRepository
from gitsync.charts import ReleaseContext, Rendered
from gitsync.git import GitSource, Mirror
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.locator import ChartLocator
from gitsync.sources.resolve.artifacts import Artifact, Artifacts
from gitsync.sources.resolve.repositories import CommitHelmRepositories
from tests.git.git_world import Repository


def chart(name: str, version: str = "1.0.0", more: str = "") -> str:
    """A Chart.yaml."""
    return f"apiVersion: v2\nname: {name}\nversion: {version}\n{more}"


def config_map(name: str, text: str = "x") -> str:
    """A template."""
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {text}}}\n"


def release(path: str, **spec: Any) -> HelmRelease:
    """A HelmRelease whose chart is a folder of the synced repository."""
    source = {"kind": "GitRepository", "name": "flux-system"}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "default"},
            "spec": {"interval": "5m", "chart": {"spec": {"chart": path, "sourceRef": source, **spec}}},
        }
    )


class World:
    """A repository, its mirror, and the charts found there."""

    def __init__(self, directory: Path) -> None:
        self.origin = Repository.make(directory / "origin")
        self.mirror = Mirror(GitSource(str(self.origin.path)), directory / "mirror")
        self.fetched = ChartRepositories(directory / "charts")
        self.artifacts = Artifacts()
        self.locator: ChartLocator | None = None

    async def close(self) -> None:
        await self.fetched.close()
        await self.mirror.close()

    def link(self, path: str, target: str) -> None:
        """A symbolic link, not committed yet."""
        file = self.origin.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    async def commit(self, files: Mapping[str, str | bytes | None]) -> Artifact:
        """Commit, and take it as carried out."""
        commit = await self.mirror.fetch(self.origin.commit(files))
        artifact = Artifact(commit, await self.mirror.artifact(commit.id))
        self.artifacts = Artifacts.of_commit("fleet", str(self.origin.path), artifact)
        self.declare()
        return artifact

    def declare(self, *repositories: HelmRepository) -> None:
        """The commit's HelmRepositories are these and no others."""
        found = CommitHelmRepositories(self.fetched, {item.key: item for item in repositories})
        self.locator = ChartLocator(found, self.artifacts, self.fetched)

    async def digest(self, path: str, **spec: Any) -> str:
        assert self.locator is not None
        return (await self.locator.locate(release(path, **spec))).digest

    async def render(self, path: str, values: Mapping[str, Any] | None = None, **spec: Any) -> Rendered:
        assert self.locator is not None
        found = await (await self.locator.locate(release(path, **spec))).load()
        return await self.fetched.charts.render(found, values or {}, ReleaseContext("app", "default"))


def documents(text: str) -> list[str]:
    """What helm prints, document by document, without regard to order."""
    return sorted(part.strip() for part in f"\n{text}".split("\n---\n") if part.strip())


def templated(helm: Path, folder: Path, *arguments: str) -> list[str]:
    """``helm template`` of a folder."""
    command = [str(helm), "template", "app", str(folder), "--namespace", "default", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)
