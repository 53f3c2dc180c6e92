from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import helm_python
import pytest
from aiohttp import web

from gitsync.charts import Charts
from gitsync.charts.serve import ChartServer
from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from tests.charts.build import chart_files, config_map, packed
from tests.charts.cases import SAMPLES
from tests.charts.servers import answer, serving


def app(version: str = "1.0.0", name: str = "app", metadata: str = "") -> bytes:
    return packed(chart_files(name, version, metadata, templates__a_yaml=config_map()))


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
async def server() -> AsyncIterator[ChartServer]:
    async with ChartServer({"stable": [app("1.0.0"), app("1.1.0"), app("2.0.0-rc.1")]}) as server:
        yield server


@pytest.fixture
def spec(server: ChartServer) -> RepositorySpec:
    return RepositorySpec(f"{server.url}/stable")


async def test_refresh_says_what_the_index_is_and_whether_it_changed(
    repositories: ChartRepositories, server: ChartServer, spec: RepositorySpec
) -> None:
    first = await repositories.refresh(spec)
    again = await repositories.refresh(spec)
    server.publish("stable", [app("3.0.0")])
    after = await repositories.refresh(spec)

    assert first.revision.startswith("sha256:")
    assert first.url == f"{server.url}/stable/index.yaml"
    assert (first.changed, again.changed, after.changed) == (True, False, True)
    assert again.revision == first.revision != after.revision
    assert (await repositories.fetch(spec, "app", "*")).version == "3.0.0"


async def test_concurrent_refreshes_of_a_repository_are_one_request(
    repositories: ChartRepositories, server: ChartServer, spec: RepositorySpec
) -> None:
    await asyncio.gather(*(repositories.refresh(spec) for _ in range(20)))

    assert server.requests["/stable/index.yaml"] == 1


async def test_a_chart_is_downloaded_and_loaded_once_however_many_ask(
    repositories: ChartRepositories, server: ChartServer, spec: RepositorySpec
) -> None:
    await repositories.refresh(spec)
    gc.collect()
    before = helm_python.open_handles_count()

    fetched = await asyncio.gather(*(repositories.fetch(spec, "app", "1.x") for _ in range(200)))

    assert {id(chart) for chart in fetched} == {id(fetched[0])}
    assert fetched[0].version == "1.1.0"
    assert server.requests["/stable/app-1.1.0.tgz"] == 1
    assert helm_python.open_handles_count() == before + 1


async def test_charts_that_nobody_uses_are_freed(tmp_path: Path, server: ChartServer, spec: RepositorySpec) -> None:
    gc.collect()
    before = helm_python.open_handles_count()
    repositories = ChartRepositories(tmp_path)
    await repositories.fetch(spec, "app", "1.0.0")
    await repositories.close()

    assert helm_python.open_handles_count() == before


async def test_without_the_repository_known_versions_are_still_served(
    repositories: ChartRepositories, server: ChartServer, spec: RepositorySpec
) -> None:
    await repositories.fetch(spec, "app", "1.0.0")
    await server.__aexit__(None, None, None)

    with pytest.raises(ChartRepositoryUnavailable):
        await repositories.refresh(spec)
    assert (await repositories.fetch(spec, "app", "1.0.0")).version == "1.0.0"
    with pytest.raises(ChartRepositoryUnavailable):
        await repositories.fetch(spec, "app", "1.1.0")


async def test_a_restart_asks_only_whether_the_index_changed_and_needs_no_download(
    tmp_path: Path, server: ChartServer, spec: RepositorySpec
) -> None:
    first = ChartRepositories(tmp_path)
    await first.fetch(spec, "app", "1.0.0")
    await first.close()
    server.requests.clear()

    second = ChartRepositories(tmp_path)
    try:
        chart = await second.fetch(spec, "app", "1.0.0")
        assert dict(server.requests) == {}
        assert (await second.refresh(spec)).changed is False
    finally:
        await second.close()
    assert chart.name == "app"
    assert dict(server.requests) == {"/stable/index.yaml": 1}


async def test_files_damaged_in_the_cache_are_fetched_again(
    tmp_path: Path, server: ChartServer, spec: RepositorySpec
) -> None:
    first = ChartRepositories(tmp_path)
    await first.fetch(spec, "app", "1.0.0")
    await first.close()
    for file in files_of(tmp_path):
        file.write_bytes(b"damaged")

    second = ChartRepositories(tmp_path)
    chart = await second.fetch(spec, "app", "1.0.0")
    await second.close()

    assert chart.version == "1.0.0"
    assert server.requests["/stable/app-1.0.0.tgz"] == 2


async def test_nothing_secret_is_written_to_the_cache(tmp_path: Path) -> None:
    async with ChartServer({"stable": [app()]}, username="reader", password="s3cret-word") as server:
        url = server.url.replace("://", "://reader:s3cret-word@")
        repositories = ChartRepositories(tmp_path)
        await repositories.fetch(RepositorySpec(f"{url}/stable?token=s3cret-word"), "app", "1.0.0")
        await repositories.close()

    written = files_of(tmp_path)
    assert len(written) == 2
    assert not [file for file in written if b"s3cret" in file.read_bytes() or "s3cret" in file.name]


async def test_an_archive_that_is_not_what_the_index_says_is_refused(repositories: ChartRepositories) -> None:
    index = {"apiVersion": "v1", "entries": {"app": [{"version": "1.0.0", "urls": ["app.tgz"], "digest": "0" * 64}]}}

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=json.dumps(index).encode() if request.path == "/index.yaml" else app())

    async with serving(handle) as server:
        with pytest.raises(ChartError, match="is not what its index says") as caught:
            await repositories.fetch(RepositorySpec(server.url), "app", "1.0.0")

    assert (caught.value.chart, caught.value.version) == ("app", "1.0.0")


@pytest.mark.parametrize("digest", ["../../victim", "/tmp/victim", "abc", "tree-1"])
async def test_a_digest_of_an_index_is_no_path_and_no_other_source(
    repositories: ChartRepositories, tmp_path: Path, digest: str
) -> None:
    victim = tmp_path / "victim.tgz"
    victim.write_bytes(b"kept")
    await repositories.charts.from_files(chart_files(), "tree-1")
    index = {"apiVersion": "v1", "entries": {"app": [{"version": "1.0.0", "urls": ["app.tgz"], "digest": digest}]}}

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=json.dumps(index).encode() if request.path == "/index.yaml" else app())

    async with serving(handle) as server:
        with pytest.raises(ChartError, match="is not what its index says"):
            await repositories.fetch(RepositorySpec(server.url), "app", "1.0.0")

    assert victim.read_bytes() == b"kept"


async def test_a_chart_that_its_index_keeps_in_a_registry_is_refused_in_words(repositories: ChartRepositories) -> None:
    index = {"apiVersion": "v1", "entries": {"app": [{"version": "1.0.0", "urls": ["oci://registry.example/app:1"]}]}}

    async with serving(answer(json.dumps(index).encode())) as server:
        with pytest.raises(ChartError, match="not supported yet") as caught:
            await repositories.fetch(RepositorySpec(server.url), "app", "1.0.0")

    assert (caught.value.chart, caught.value.version) == ("app", "1.0.0")


async def test_an_index_without_digests_costs_one_download_all_the_same(repositories: ChartRepositories) -> None:
    index = {"apiVersion": "v1", "entries": {"app": [{"version": "1.0.0", "urls": ["gone.tgz", "app.tgz"]}]}}

    async def handle(request: web.Request) -> web.StreamResponse:
        bodies = {"/index.yaml": json.dumps(index).encode(), "/app.tgz": app()}
        return web.Response(body=bodies[request.path]) if request.path in bodies else web.Response(status=404)

    async with serving(handle) as server:
        spec = RepositorySpec(server.url)
        chart = await repositories.fetch(spec, "app", "1.0.0")
        assert await repositories.fetch(spec, "app", "1.0.0") is chart
        await asyncio.gather(*(repositories.fetch(spec, "app", "1.0.0") for _ in range(5)))

    assert chart.digest == hashlib.sha256(app()).hexdigest()
    assert server.paths == ["/index.yaml", "/gone.tgz", "/app.tgz"]


async def test_an_archive_that_holds_another_chart_is_refused(repositories: ChartRepositories) -> None:
    other = app(name="other")
    index = {"apiVersion": "v1", "entries": {"app": [{"version": "1.0.0", "urls": ["app.tgz"]}]}}

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=json.dumps(index).encode() if request.path == "/index.yaml" else other)

    async with serving(handle) as server:
        with pytest.raises(ChartError, match="holds chart 'other'"):
            await repositories.fetch(RepositorySpec(server.url), "app", "1.0.0")


async def test_one_who_gives_up_does_not_take_the_refresh_from_the_others(repositories: ChartRepositories) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.set()
        await release.wait()
        return web.Response(body=b"apiVersion: v1\nentries: {}\n")

    async with serving(handle) as server:
        impatient, patient = (asyncio.create_task(repositories.refresh(RepositorySpec(server.url))) for _ in range(2))
        await asked.wait()
        impatient.cancel()
        await asyncio.wait([impatient])
        release.set()
        assert (await patient).charts == 0

    assert impatient.cancelled()
    assert len(server.requests) == 1


async def test_a_refresh_that_nobody_waits_for_ends(repositories: ChartRepositories) -> None:
    gone = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            await asyncio.sleep(30)
        finally:
            gone.set()
        return web.Response()

    app_server = web.Application()
    app_server.router.add_get("/index.yaml", handle)
    runner = web.AppRunner(app_server, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    spec = RepositorySpec(f"http://127.0.0.1:{runner.addresses[0][1]}")
    task = asyncio.create_task(repositories.refresh(spec))
    await asyncio.sleep(0.1)
    task.cancel()

    await asyncio.wait_for(gone.wait(), 2)
    assert task.cancelled()
    await runner.cleanup()


async def test_the_error_of_a_repository_does_not_stay(repositories: ChartRepositories, server: ChartServer) -> None:
    spec = RepositorySpec(f"{server.url}/later")
    with pytest.raises(ChartNotFound):
        await repositories.refresh(spec)
    server.publish("later", [app()])

    assert (await repositories.refresh(spec)).charts == 1


async def test_refreshing_a_large_index_leaves_the_loop_alone(repositories: ChartRepositories) -> None:
    entry = "  - version: 1.{v}.0\n    urls: [a.tgz]\n    description: words that make it as long as real ones\n"
    chart = "  chart-{n}:\n" + "".join(entry.format(v=v) for v in range(50))
    body = "apiVersion: v1\nentries:\n" + "".join(chart.replace("{n}", str(n)) for n in range(300))
    longest = 0.0

    async def heartbeat() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            longest = max(longest, time.perf_counter() - before)

    async with serving(answer(body.encode())) as server:
        beating = asyncio.create_task(heartbeat())
        info = await repositories.refresh(RepositorySpec(server.url))
        beating.cancel()

    assert info.charts == 300
    assert longest < 0.5


async def test_oci_registries_are_refused_in_words(repositories: ChartRepositories) -> None:
    for call in (repositories.refresh, lambda spec: repositories.fetch(spec, "app", "*")):
        with pytest.raises(ChartError, match="not supported yet"):
            await call(RepositorySpec("oci://registry.example/charts"))


async def test_a_chart_out_of_a_git_tree_is_the_chart_that_was_packaged(charts: Charts) -> None:
    files = chart_files(values_yaml="a: 1", templates__a_yaml=config_map(value="{{ .Values.a }}"))

    chart = await charts.from_files(files, "tree-1")

    assert (chart.name, chart.version, chart.digest, chart.values) == ("app", "1.0.0", "tree-1", {"a": 1})
    assert await charts.from_files({}, "tree-1") is chart is charts.cached("tree-1")
    assert charts.cached("tree-2") is None


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"values.yaml": b""}, "Chart.yaml is missing"),
        ({"Chart.yaml": b"name: app"}, "chart cannot be loaded"),
        ({"Chart.yaml": b"\x00"}, "chart cannot be loaded"),
        (chart_files(values_yaml="a: ["), r"values\.yaml"),
        (chart_files() | {"../x": b""}, "outside the chart"),
        (chart_files() | {"/x": b""}, "outside the chart"),
        (chart_files(metadata="type: library\n"), "library chart, which cannot be installed"),
        (
            chart_files(metadata="dependencies: [{name: redis, version: 1.x, repository: 'file://../redis'}]\n"),
            "depends on redis, missing from its charts/ folder",
        ),
    ],
)
async def test_trees_that_are_no_chart_are_refused(charts: Charts, files: dict[str, bytes], words: str) -> None:
    with pytest.raises(ChartError, match=words) as caught:
        await charts.from_files(files, "broken")

    if "missing from" in words:
        assert caught.value.hint == "run `helm dependency update` and commit charts/"


async def test_the_sample_charts_are_served_with_the_versions_of_the_sample_releases(
    repositories: ChartRepositories,
) -> None:
    async with ChartServer({"bitnami": [SAMPLES / "redis"], "podinfo": [SAMPLES / "podinfo"]}) as server:
        redis = await repositories.fetch(RepositorySpec(f"{server.url}/bitnami"), "redis", "17.3.14")
        podinfo = await repositories.fetch(RepositorySpec(f"{server.url}/podinfo"), "podinfo", "6.2.2")

    assert (redis.version, podinfo.version) == ("17.3.14", "6.2.2")


async def test_blocking_work_is_done_by_a_few_threads(repositories: ChartRepositories, spec: RepositorySpec) -> None:
    await asyncio.gather(
        *(repositories.fetch(spec, "app", version) for version in ("1.0.0", "1.1.0", "2.0.0-rc.1") * 20)
    )

    assert 1 <= sum(thread.name.startswith("helm") for thread in threading.enumerate()) <= 4
