"""Charts in Git with dependencies that are not in charts/: what `helm dependency build` makes of a checkout."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.sources import HelmRepository
from gitsync.charts.serve import ChartServer
from gitsync.charts.source import archive_from_files
from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from tests.sources.world import World, chart, config_map, documents, templated

VALUES = "lib: {text: from-app}\nglobal: {where: everywhere}\n"
TEXT = "'{{ .Values.text }} {{ .Values.global.where }}'"


def needs(*entries: str) -> str:
    """The dependencies of a Chart.yaml."""
    return "dependencies:\n" + "".join(f"- {{{entry}}}\n" for entry in entries)


def app(*entries: str, values: str = VALUES) -> dict[str, str]:
    """The chart ``app``, with these dependencies."""
    return {
        "charts/app/Chart.yaml": chart("app", more=needs(*entries)),
        "charts/app/values.yaml": values,
        "charts/app/templates/cm.yaml": config_map("from-app"),
    }


def lib(folder: str = "charts/lib", version: str = "1.2.0", more: str = "", name: str = "lib") -> dict[str, str]:
    """A chart that others depend on."""
    return {
        f"{folder}/Chart.yaml": chart(name, version, more),
        f"{folder}/values.yaml": "text: own\n",
        f"{folder}/templates/_helper.tpl": '{{ define "lib.say" }}said by lib{{ end }}',
        f"{folder}/templates/cm.yaml": config_map(f"from-{{{{ .Chart.Name }}}}-{version}", TEXT),
    }


def packaged(version: str, name: str = "lib", more: str = "") -> bytes:
    files = lib("x", version, more, name)
    return archive_from_files({path.removeprefix("x/"): text.encode() for path, text in files.items()})


async def built(helm: Path, world: World, tmp_path: Path, *folders: str, url: str = "") -> Path:
    """A checkout in which helm, which knows the chart repository at ``url``, has built these folders' dependencies."""
    return await asyncio.to_thread(_built, helm, world, tmp_path, folders, url)


def _built(helm: Path, world: World, tmp_path: Path, folders: Sequence[str], url: str) -> Path:
    checkout = tmp_path / "checkout"
    shutil.rmtree(checkout, ignore_errors=True)
    shutil.copytree(world.origin.path, checkout, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    environment = {f"HELM_{kind}_HOME": str(tmp_path / "helm" / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    commands = [["dependency", "build", str(checkout / folder)] for folder in folders]
    if url:
        commands.insert(0, ["repo", "add", "--force-update", "libs", f"{url}/libs"])
    for command in commands:
        done = subprocess.run(
            [str(helm), *command], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert not done.returncode, done.stdout + done.stderr
    return checkout


async def compared(world: World, helm: Path, tmp_path: Path, *folders: str, url: str = "") -> set[str]:
    """The names of the objects of the first folder's chart, which are those that helm makes of it."""
    rendered = await world.render(folders[0])
    checkout = await built(helm, world, tmp_path, *reversed(folders), url=url)
    assert documents(rendered.manifest) == templated(helm, checkout / folders[0])
    return {item["metadata"]["name"] for item in rendered.objects}


@pytest.fixture
async def server() -> AsyncIterator[ChartServer]:
    """A chart repository with four versions of ``lib``, and a library."""
    versions = [packaged(version) for version in ("1.0.0", "1.2.0", "1.3.0-rc.1", "2.0.0")]
    files = {
        "Chart.yaml": chart("words", more="type: library\n").encode(),
        "templates/_w.tpl": b'{{ define "w" }}w{{ end }}',
    }
    async with ChartServer({"libs": [*versions, archive_from_files(files)]}) as server:
        yield server


@pytest.mark.parametrize("path", ["file://../lib", "file://../../charts/lib/", "file://lib", "file://../linked"])
async def test_a_path_is_looked_up_in_the_same_commit(world: World, helm: Path, tmp_path: Path, path: str) -> None:
    world.link("charts/linked", "lib")
    await world.commit(app(f'name: lib, version: 1.x, repository: "{path}"') | lib() | lib("charts/app/lib"))
    assert await compared(world, helm, tmp_path, "charts/app") == {"from-app", "from-lib-1.2.0"}


async def test_a_dependency_may_have_dependencies(world: World, helm: Path, tmp_path: Path) -> None:
    deep = needs('name: deep, version: 0.1.0, repository: "file://../../more/deep"')
    files = lib(more=deep) | lib("more/deep", "0.1.0", name="deep")
    await world.commit(app('name: lib, version: "*", repository: "file://../lib"') | files)
    found = await compared(world, helm, tmp_path, "charts/app", "charts/lib")
    assert found == {"from-app", "from-lib-1.2.0", "from-deep-0.1.0"}


@pytest.mark.parametrize(
    ("version", "chosen"),
    [("1.x", "1.2.0"), ('">=1.0.0 <2"', "1.2.0"), ("1.0.0", "1.0.0"), ('"*"', "2.0.0"), ("~1.3.0-0", "1.3.0-rc.1")],
)
async def test_a_url_is_asked_for_the_version_that_helm_chooses(
    world: World, helm: Path, tmp_path: Path, server: ChartServer, version: str, chosen: str
) -> None:
    await world.commit(app(f'name: lib, version: {version}, repository: "{server.url}/libs"'))
    assert await compared(world, helm, tmp_path, "charts/app") == {"from-app", f"from-lib-{chosen}"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {"from-app", "from-lib-1.2.0"}),
        ({"extra": True}, {"from-app", "from-lib-1.2.0", "from-second-2.0.0"}),
        ({"tags": {"more": True}}, {"from-app", "from-lib-1.2.0", "from-tagged-1.0.0"}),
    ],
)
async def test_aliases_conditions_and_tags_are_helms(
    world: World, helm: Path, tmp_path: Path, server: ChartServer, values: dict[str, Any], expected: set[str]
) -> None:
    url = f'repository: "{server.url}/libs"'
    entries = [
        f"name: lib, version: 1.2.x, {url}",
        f"name: lib, version: 2.x, alias: second, condition: extra, {url}",
        f"name: lib, version: 1.0.0, alias: tagged, tags: [more], {url}",
        f"name: words, version: 1.x, {url}",
    ]
    await world.commit(app(*entries, values=VALUES + "tags: {more: false}\nextra: false\n"))
    rendered = await world.render("charts/app", values)
    assert {item["metadata"]["name"] for item in rendered.objects} == expected
    checkout = await built(helm, world, tmp_path, "charts/app")
    given = tmp_path / "values.json"
    given.write_text(json.dumps(values))
    assert documents(rendered.manifest) == templated(helm, checkout / "charts/app", "--values", str(given))


async def test_a_lock_file_pins_versions(world: World, helm: Path, tmp_path: Path, server: ChartServer) -> None:
    entry = f'name: lib, version: 1.x, repository: "{server.url}/libs"'
    await world.commit(app(entry))
    checkout = await built(helm, world, tmp_path, "charts/app")
    lock = (checkout / "charts/app/Chart.lock").read_text()
    assert "version: 1.2.0" in lock
    await world.commit({"charts/app/Chart.lock": lock})
    server.publish("libs", [packaged("1.2.0"), packaged("1.2.5")])
    assert await compared(world, helm, tmp_path, "charts/app", url=server.url) == {"from-app", "from-lib-1.2.0"}

    await world.commit({"charts/app/Chart.yaml": chart("app", more=needs(entry.replace("1.x", "2.x")))})
    with pytest.raises(ChartError, match=r"Chart\.lock is out of sync: it pins no version of lib 2\.x") as caught:
        await world.render("charts/app")
    assert "helm dependency update" in caught.value.hint


async def test_what_is_in_charts_is_not_fetched(world: World, helm: Path, server: ChartServer) -> None:
    packed: dict[str, str | bytes | None] = {"charts/app/charts/lib-1.0.0.tgz": packaged("1.0.0")}
    await world.commit({**app('name: lib, version: 1.x, repository: "http://127.0.0.1:9/nowhere"'), **packed})
    rendered = await world.render("charts/app")
    assert documents(rendered.manifest) == templated(helm, world.origin.path / "charts/app")
    assert not server.requests


async def test_an_old_charts_requirements_yaml_counts_as_well(
    world: World, helm: Path, tmp_path: Path, server: ChartServer
) -> None:
    files = app() | {
        "charts/app/Chart.yaml": "apiVersion: v1\nname: app\nversion: 1.0.0\n",
        "charts/app/requirements.yaml": needs(
            f'name: lib, version: 1.x, repository: "{server.url}/libs"',
            'name: near, version: 1.x, repository: "file://../near"',
        ),
    }
    await world.commit(files | lib("charts/near", name="near"))
    found = await compared(world, helm, tmp_path, "charts/app")
    assert found == {"from-app", "from-lib-1.2.0", "from-near-1.2.0"}


async def test_the_digest_covers_what_a_chart_depends_on_and_nothing_else(world: World, server: ChartServer) -> None:
    entries = [
        'name: near, version: 1.x, repository: "file://../near"',
        f'name: lib, version: 1.x, repository: "{server.url}/libs"',
    ]
    await world.commit(app(*entries) | lib("charts/near", name="near"))
    first = await world.digest("charts/app")
    await world.commit({"notes.md": "1"})
    assert await world.digest("charts/app") == first
    await world.commit({"charts/near/values.yaml": "text: changed\n"})
    second = await world.digest("charts/app")
    assert second != first
    server.publish("libs", [packaged("1.0.0"), packaged("1.4.0")])
    await world.commit({"notes.md": "2"})  # a look of its own, which asks anew
    assert await world.digest("charts/app") not in (first, second)
    rendered = await world.render("charts/app")
    assert {item["metadata"]["name"] for item in rendered.objects} == {"from-app", "from-near-1.2.0", "from-lib-1.4.0"}


def helm_repository(url: str, namespace: str = "default") -> HelmRepository:
    return HelmRepository.parse(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "HelmRepository",
            "metadata": {"name": "libs", "namespace": namespace},
            "spec": {"url": url, "secretRef": {"name": "login"}},
        }
    )


async def test_a_helmrepository_with_the_url_is_what_is_asked_however_the_url_is_written(
    world: World, server: ChartServer
) -> None:
    await world.commit(app(f'name: lib, version: 1.x, repository: "{server.url.replace("http", "HTTP")}/libs/"'))
    world.declare(helm_repository(f"{server.url}/libs", "elsewhere"))
    await world.render("charts/app")
    # One of the release's namespace counts; without a cluster its Secret cannot be read, which shows that it was found.
    world.declare(helm_repository(f"{server.url}/libs"))
    with pytest.raises(Exception, match="HelmRepository 'default/libs' needs a Secret of the cluster"):
        await world.render("charts/app")


@pytest.mark.parametrize(
    ("entry", "files", "error", "message", "hint"),
    [
        (
            'name: lib, version: 1.x, repository: "http://127.0.0.1:9/nowhere"',
            {},
            ChartRepositoryUnavailable,
            r"chart app depends on lib 1\.x from http://127\.0\.0\.1:9/nowhere: .*Connect",
            "add a HelmRepository with this URL to namespace default",
        ),
        (
            'name: lib, version: 3.x, repository: "LIBS"',
            {},
            ChartNotFound,
            r"chart app depends on lib 3\.x from http://.*/libs: no version '3\.x' of chart 'lib'",
            "the newest is 2.0.0",
        ),
        (
            'name: lib, version: 2.x, repository: "file://../lib"',
            lib(),
            ChartError,
            r"depends on lib 2\.x from file://\.\./lib: 'charts/lib' holds version 1\.2\.0",
            "correct the version",
        ),
        (
            'name: lib, version: 1.x, repository: "file://../other"',
            lib("charts/other", name="other"),
            ChartError,
            "'charts/other' holds chart 'other'",
            "correct name or repository",
        ),
        (
            'name: lib, version: 1.x, repository: "file://../nowhere"',
            {},
            ChartError,
            "there is no folder 'charts/nowhere' in the repository",
            "add the chart",
        ),
        (
            'name: lib, version: 1.x, repository: "file://../../../lib"',
            {},
            ChartError,
            "its path leads out of the repository",
            "",
        ),
        (
            'name: lib, version: 1.x, repository: "file:///etc"',
            {},
            ChartError,
            "its path is absolute",
            "file://../NAME",
        ),
        ("name: lib, version: 1.x", {}, ChartError, "it names no repository", "commit charts/"),
        ('name: lib, version: 1.x, repository: "@libs"', {}, ChartError, "write its URL", "commit charts/"),
        (
            'name: lib, version: 1.x, repository: "file://../lib"',
            lib(more=needs('name: app, version: 1.x, repository: "file://../app"')),
            ChartError,
            "dependencies lead in a circle: charts/app -> charts/lib -> charts/app",
            "",
        ),
        (
            'name: app, version: 1.x, repository: "file://."',
            {},
            ChartError,
            "dependencies lead in a circle: charts/app -> charts/app",
            "",
        ),
        ("version: 1.x", {}, ChartError, "dependencies is no list of charts with names", ""),
    ],
)
async def test_what_cannot_be_built_says_which_dependency_where_it_was_looked_for_and_what_to_do(
    world: World,
    server: ChartServer,
    entry: str,
    files: dict[str, str],
    error: type[Exception],
    message: str,
    hint: str,
) -> None:
    await world.commit(app(entry.replace("LIBS", f"{server.url}/libs")) | files)
    with pytest.raises(error, match=message) as caught:
        await world.digest("charts/app")
    assert hint in getattr(caught.value, "hint")  # noqa: B009  # the parametrized type has it


async def test_folders_that_lead_to_each_other_again_and_again_are_refused_in_no_time(world: World) -> None:
    files: dict[str, str] = {}
    for layer in range(7):
        for name in "ab":
            below = [
                f'name: {other}{layer + 1}, version: 1.x, repository: "file://../{other}{layer + 1}"' for other in "ab"
            ]
            more = needs(
                *below, *(entry.replace("1.x", f"1.{number}.x || 1.x") for number in range(9) for entry in below)
            )
            files |= lib(f"charts/{name}{layer}", more=more, name=f"{name}{layer}")
    files |= lib("charts/a7", name="a7") | lib("charts/b7", name="b7")
    await world.commit(files)
    with pytest.raises(ChartError, match="or to more than 200 charts"):
        await world.digest("charts/a0")


async def test_credentials_in_a_url_are_in_no_message(world: World) -> None:
    await world.commit(app('name: lib, version: 1.x, repository: "http://user:pa55word@127.0.0.1:9/nowhere"'))
    with pytest.raises(ChartRepositoryUnavailable) as caught:
        await world.render("charts/app")
    assert "pa55word" not in f"{caught.value.message} {caught.value.hint} {caught.value.url}"
