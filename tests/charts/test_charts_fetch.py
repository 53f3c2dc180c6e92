from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gitsync.charts import Charts
from gitsync.charts.serve import ChartServer
from gitsync.charts.workers import WORKERS
from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from gitsync.sources.helm import ChartRepositories, RepositorySpec
from tests.charts.build import chart_files, config_map, from_files, packed
from tests.charts.cases import SAMPLES
from tests.charts.processes import workers
from tests.charts.servers import answer, serving
from tests.lag import stays_below
from tests.until import until


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

    fetched = await asyncio.gather(*(repositories.fetch(spec, "app", "1.x") for _ in range(200)))

    assert {id(chart) for chart in fetched} == {id(fetched[0])}
    assert fetched[0].version == "1.1.0"
    assert server.requests["/stable/app-1.1.0.tgz"] == 1


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


async def test_a_cache_that_cannot_be_written_is_said_once_and_done_without(
    tmp_path: Path, server: ChartServer, spec: RepositorySpec
) -> None:
    cache = tmp_path / "charts"
    cache.write_text("in the way of the directory")
    repositories = ChartRepositories(cache)
    try:
        with capture_logs() as lines:
            await repositories.refresh(spec)
            chart = await repositories.fetch(spec, "app", "1.0.0")
            cache.unlink()
            await repositories.fetch(spec, "app", "1.1.0")
    finally:
        await repositories.close()

    assert chart.version == "1.0.0"
    said = [line for line in lines if line["log_level"] != "debug"]
    assert [line["event"] for line in said] == [
        "charts cannot be kept on disk, going on without",
        "charts can be kept on disk again",
    ]
    assert said[0]["directory"] == str(cache)
    assert "mount a writable volume" in said[0]["hint"]


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


async def test_an_archive_that_misleads_is_refused_with_the_name_of_chart_and_repository(
    repositories: ChartRepositories,
) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        link = tarfile.TarInfo("app/Chart.yaml")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    entry = {"apiVersion": "v2", "name": "app", "version": "1.0.0", "urls": ["app.tgz"]}

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("index.yaml"):
            return web.json_response({"apiVersion": "v1", "entries": {"app": [entry]}})
        return web.Response(body=data.getvalue())

    async with serving(handle) as server:
        with pytest.raises(ChartError) as caught:
            await repositories.fetch(RepositorySpec(server.url), "app", "1.0.0")
    assert caught.value.message == (
        f"chart app 1.0.0 of {server.url} cannot be installed: chart archive has a symbolic link at 'app/Chart.yaml', "
        "of which Helm makes an empty file"
    )
    assert (caught.value.chart, caught.value.version) == ("app", "1.0.0")


@pytest.mark.parametrize("digest", ["../../victim", "/tmp/victim", "abc", "tree-1"])
async def test_a_digest_of_an_index_is_no_path_and_no_other_source(
    repositories: ChartRepositories, tmp_path: Path, digest: str
) -> None:
    victim = tmp_path / "victim.tgz"
    victim.write_bytes(b"kept")
    await from_files(repositories.charts, chart_files(), "tree-1")
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
    asked, gone = asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.set()
        try:
            await asyncio.Event().wait()
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
    await asyncio.wait_for(asked.wait(), 60)
    task.cancel()

    await asyncio.wait_for(gone.wait(), 60)
    assert task.cancelled()
    await runner.cleanup()


async def test_the_error_of_a_repository_does_not_stay(repositories: ChartRepositories, server: ChartServer) -> None:
    spec = RepositorySpec(f"{server.url}/later")
    with pytest.raises(ChartNotFound):
        await repositories.refresh(spec)
    server.publish("later", [app()])

    assert (await repositories.refresh(spec)).charts == 1


async def test_refreshing_a_large_index_leaves_the_loop_alone(repositories: ChartRepositories) -> None:
    """One of 20,000 versions."""
    entry = "  - version: 1.{v}.0\n    urls: [a.tgz]\n    description: words that make it as long as real ones\n"
    chart = "  chart-{n}:\n" + "".join(entry.format(v=v) for v in range(50))
    body = "apiVersion: v1\nentries:\n" + "".join(chart.replace("{n}", str(n)) for n in range(400))

    async with serving(answer(body.encode())) as large:

        async def refresh() -> None:
            assert (await repositories.refresh(RepositorySpec(large.url))).charts == 400

        await stays_below(0.5, refresh)


async def test_a_chart_out_of_a_git_tree_is_the_chart_that_was_packaged(charts: Charts) -> None:
    files = chart_files(values_yaml="a: 1", templates__a_yaml=config_map(value="{{ .Values.a }}"))

    chart = await from_files(charts, files, "tree-1")

    assert (chart.name, chart.version, chart.digest, chart.values) == ("app", "1.0.0", "tree-1", {"a": 1})
    assert await from_files(charts, {}, "tree-1") is chart is charts.cached("tree-1")
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
        await from_files(charts, files, "broken")

    if "missing from" in words:
        assert caught.value.hint == "run `helm dependency update` and commit charts/"


async def test_the_sample_charts_are_served_with_the_versions_of_the_sample_releases(
    repositories: ChartRepositories,
) -> None:
    async with ChartServer({"bitnami": [SAMPLES / "redis"], "podinfo": [SAMPLES / "podinfo"]}) as server:
        redis = await repositories.fetch(RepositorySpec(f"{server.url}/bitnami"), "redis", "17.3.14")
        podinfo = await repositories.fetch(RepositorySpec(f"{server.url}/podinfo"), "podinfo", "6.2.2")

    assert (redis.version, podinfo.version) == ("17.3.14", "6.2.2")


async def test_charts_are_loaded_by_a_few_processes(repositories: ChartRepositories, spec: RepositorySpec) -> None:
    await asyncio.gather(
        *(repositories.fetch(spec, "app", version) for version in ("1.0.0", "1.1.0", "2.0.0-rc.1") * 20)
    )

    assert 1 <= len(workers()) <= WORKERS


async def hangs(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError("somebody waited for it")


async def test_servers_that_never_answer_hold_up_those_alone_who_ask_them(
    repositories: ChartRepositories, server: ChartServer, spec: RepositorySpec
) -> None:
    """Whatever one namespace waits for: two hundred requests, and the very repository that another one asks for."""
    async with serving(hangs) as silent:
        slow = [RepositorySpec(f"{silent.url}/{number}", timeout=86400.0, owner="bad") for number in range(200)]
        waiting = [asyncio.ensure_future(repositories.refresh(item)) for item in slow]
        waiting.append(asyncio.ensure_future(repositories.refresh(replace(spec, url=silent.url, owner="bad"))))
        await until(lambda: silent.requests)
        async with asyncio.timeout(60):
            await repositories.refresh(replace(spec, owner="bad"))  # another host of the same namespace
            await repositories.refresh(replace(spec, owner="good"))
            assert (await repositories.fetch(replace(spec, owner="good"), "app", "1.x")).version == "1.1.0"
        assert len(silent.requests) == 8
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_who_claims_the_digest_of_anothers_chart_holds_nobody_up(
    repositories: ChartRepositories, server: ChartServer, spec: RepositorySpec
) -> None:
    entry = {"name": "app", "version": "1.1.0", "digest": hashlib.sha256(app("1.1.0")).hexdigest(), "urls": ["app.tgz"]}
    index = json.dumps({"apiVersion": "v1", "entries": {"app": [entry]}}).encode()

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (answer(index) if request.path.endswith("index.yaml") else hangs)(request)

    async with serving(handle) as silent:
        claims = asyncio.ensure_future(repositories.fetch(RepositorySpec(silent.url, owner="bad"), "app", "1.1.0"))
        await until(lambda: len(silent.requests) == 2)
        async with asyncio.timeout(60):
            assert (await repositories.fetch(replace(spec, owner="good"), "app", "1.1.0")).version == "1.1.0"
        claims.cancel()
        await asyncio.gather(claims, return_exceptions=True)


async def test_a_repositorys_own_timeout_has_a_limit(tmp_path: Path) -> None:
    async with serving(hangs) as silent:
        repositories = ChartRepositories(tmp_path / "cache", timeout_limit=0.1)
        with pytest.raises(ChartRepositoryUnavailable, match=r"did not answer within 0\.1 s") as caught:
            await repositories.refresh(RepositorySpec(silent.url, timeout=86400.0))
        await repositories.close()
    assert caught.value.hint == "that is the longest that the agent waits (source_timeout_limit)"
