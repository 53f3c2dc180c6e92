"""Charts of a HelmRepository of type oci, in a real registry that helm has filled."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gitsync.api.sources import HelmRepository
from gitsync.charts.source import archive_from_files
from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from tests.controlplane import binaries
from tests.controlplane.registry import PASSWORD, USER, Registry
from tests.sources.world import World, chart, config_map


@pytest.fixture
async def charts(tmp_path: Path) -> AsyncIterator[ChartRepositories]:
    charts = ChartRepositories(tmp_path / "charts")
    yield charts
    await charts.close()


@pytest.fixture
def place(registry: Registry, tmp_path: Path) -> RepositorySpec:
    """A folder of the registry that is this test's own."""
    return RepositorySpec(registry.url(tmp_path.name.replace("_", "-")), USER, PASSWORD, registry.ca)


def push(registry: Registry, place: RepositorySpec, directory: Path, version: str, text: str = "") -> None:
    path = directory / f"app-{version}.tgz"
    files = {"Chart.yaml": chart("app", version).encode(), "templates/a.yaml": config_map("app", text).encode()}
    path.write_bytes(archive_from_files(files))
    registry.push(path, place.url.rpartition("/")[2])


def lists(registry: Registry, place: RepositorySpec) -> int:
    """How often a list of tags was asked for."""
    return registry.log.count(f'"http.request.uri":"/v2/{place.url.rpartition("/")[2]}/app/tags/list')


async def test_versions_are_tags_chosen_as_helm_chooses(
    charts: ChartRepositories, registry: Registry, place: RepositorySpec, tmp_path: Path
) -> None:
    for version in ("1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0+build.7"):
        await asyncio.to_thread(push, registry, place, tmp_path, version)
    for wanted in ("", "1.x", ">=1.3.0-0 <2", "1.0.0", "2.0.0+build.7"):
        command = ["show", "chart", f"{place.url}/app", *([f"--version={wanted}"] if wanted else [])]
        shown = await asyncio.to_thread(registry.helm, *command)
        said = shown.partition("\nversion: ")[2].split()[0]
        assert (await charts.resolve(place, "app", wanted)).version == said, wanted
    assert (await charts.fetch(place, "app", "2.x")).version == "2.0.0+build.7"


async def test_an_exact_version_costs_no_list_of_tags_and_what_was_found_no_request(
    charts: ChartRepositories, registry: Registry, place: RepositorySpec, tmp_path: Path
) -> None:
    await asyncio.to_thread(push, registry, place, tmp_path, "1.0.0")
    await charts.resolve(place, "app", "1.0.0")
    assert lists(registry, place) == 0
    await charts.resolve(place, "app", "1.x")
    await charts.resolve(place, "app", "1.x")
    found = lists(registry, place)
    assert found > 0
    await charts.resolve(place, "app", "1.x")
    assert lists(registry, place) == found


async def test_a_refresh_finds_a_new_tag_and_a_tag_that_has_moved(
    charts: ChartRepositories, registry: Registry, place: RepositorySpec, tmp_path: Path
) -> None:
    assert not (await charts.refresh(place)).changed
    await asyncio.to_thread(push, registry, place, tmp_path, "1.0.0")
    await charts.resolve(place, "app", "1.x")
    assert not (await charts.refresh(place)).changed

    await asyncio.to_thread(push, registry, place, tmp_path, "1.1.0")
    assert (await charts.resolve(place, "app", "1.x")).version == "1.0.0"
    assert (await charts.refresh(place)).changed
    entry = await charts.resolve(place, "app", "1.x")
    assert entry.version == "1.1.0"

    await asyncio.to_thread(push, registry, place, tmp_path, "1.1.0", "another content")
    assert (await charts.refresh(place)).changed
    assert (await charts.resolve(place, "app", "1.x")).digest != entry.digest


async def test_a_chart_that_has_gone_keeps_nobody_from_the_news_of_another(
    charts: ChartRepositories, registry: Registry, place: RepositorySpec, tmp_path: Path
) -> None:
    await asyncio.to_thread(push, registry, place, tmp_path, "1.0.0")
    await asyncio.to_thread(push, registry, place, tmp_path, "2.0.0")
    await charts.resolve(place, "app", "1.0.0")
    await charts.resolve(place, "app", "2.x")
    tags = registry.storage / f"docker/registry/v2/repositories/{place.url.rpartition('/')[2]}/app/_manifests/tags"
    shutil.rmtree(tags / "1.0.0")
    await asyncio.to_thread(push, registry, place, tmp_path, "2.1.0")

    assert (await charts.refresh(place)).changed
    assert (await charts.resolve(place, "app", "2.x")).version == "2.1.0"
    with pytest.raises(ChartNotFound):
        await charts.resolve(place, "app", "1.0.0")


async def test_what_is_not_there_or_not_allowed_is_said(
    charts: ChartRepositories, registry: Registry, place: RepositorySpec, tmp_path: Path
) -> None:
    await asyncio.to_thread(push, registry, place, tmp_path, "1.0.0")
    for name, version, words in (
        ("app", "9.9.9", "not found"),
        ("app", ">=9", "no version '>=9' of chart 'app'"),
        ("app", "no range", "is not a version constraint"),
        ("other", "*", "not found"),
    ):
        with pytest.raises(ChartNotFound, match=words):
            await charts.resolve(place, name, version)
    with pytest.raises(ChartError, match="access refused") as caught:
        await charts.resolve(replace(place, password="s3cret-word"), "app", "1.x")
    assert "s3cret-word" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(ChartError, match="not that of a repository"):
        await charts.resolve(place, "../app", "1.x")


async def test_a_restart_needs_no_registry_for_what_was_found_before(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "own", binaries.ensure(binaries.REGISTRY), binaries.ensure(binaries.HELM)).start()
    place = RepositorySpec(registry.url("charts"), USER, PASSWORD, registry.ca)
    try:
        await asyncio.to_thread(push, registry, place, tmp_path, "1.0.0")
        first = ChartRepositories(tmp_path / "charts")
        await first.fetch(place, "app", "1.x")
        await first.close()
    finally:
        registry.stop()
    second = ChartRepositories(tmp_path / "charts")
    assert (await second.fetch(place, "app", "1.x")).version == "1.0.0"
    with pytest.raises(ChartRepositoryUnavailable):
        await second.resolve(place, "app", "2.x")
    await second.close()


async def test_a_chart_in_git_may_depend_on_one_in_a_registry(world: World, tmp_path: Path) -> None:
    registry = Registry(
        tmp_path / "own", binaries.ensure(binaries.REGISTRY), binaries.ensure(binaries.HELM), tls=False, login=False
    ).start()
    try:
        place = RepositorySpec(registry.url("libs"), insecure=True)
        await asyncio.to_thread(push, registry, place, tmp_path, "1.1.0", "from the registry")
        needs = f'dependencies: [{{name: app, version: 1.x, repository: "{place.url}"}}]\n'
        await world.commit({"charts/main/Chart.yaml": chart("main", "1.0.0", needs)})
        metadata = {"name": "libs", "namespace": "default"}
        spec = {"url": place.url, "type": "oci", "interval": "5m", "insecure": True}
        kind = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository"}
        world.declare(HelmRepository.parse({**kind, "metadata": metadata, "spec": spec}))
        rendered = await world.render("charts/main")
        assert [item["data"] for item in rendered.objects] == [{"text": "from the registry"}]
    finally:
        registry.stop()
