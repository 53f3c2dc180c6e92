"""Remote bases: fetched from real servers, and built to what kustomize itself makes of them, which fetches, too."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import web
from ruamel.yaml import YAML

from gitsync.build import Builder, BuildSpec
from gitsync.manifests import Desired
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.remotebases import FRESH, RemoteBases
from tests.build.trees import COMMIT, Counting, tree, written
from tests.clock import Clock
from tests.controlplane import binaries
from tests.git.git_world import HttpGit, Repository, clean_environment, http_git
from tests.sources.world import config_map

Files = dict[str, str]
COMPONENTS = "kustomize.config.k8s.io/v1alpha1"


class Offline(Counting):
    """kustomize, which is never told where anything is: loopback it would ask in spite of a proxy."""

    async def build(
        self, files: Mapping[str, str | bytes], directory: str = "", owner: str = "", *, secret: bool = False
    ) -> str:
        for path, text in files.items():
            assert "://" not in str(text), path
        return await super().build(files, directory, owner, secret=secret)


class World:
    """A server with the repository ``org/app`` and files below ``/files/``, and a builder that may ask it."""

    def __init__(self, origin: Repository, server: HttpGit, bases: RemoteBases, clock: Clock) -> None:
        self.origin, self.server, self.clock = origin, server, clock
        self.kustomizer = Offline()
        self.builder = Builder(self.kustomizer, remotes=bases)
        self.files: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"{self.server.url}/org/app"

    async def build(self, files: Files, path: str = "") -> Desired:
        return await self.builder.build(COMMIT, tree(files), BuildSpec(path, owner="apps"))

    async def names(self, text: str, field: str = "resources") -> list[str]:
        """The objects of a kustomization with this one reference, or what is wrong with it."""
        desired = await self.build({"kustomization.yaml": f"namespace: apps\n{field}:\n- {text}\n"})
        return sorted(key.name for key in desired.objects) or [str(error) for error in desired.errors]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    origin = Repository.make(tmp_path / "served" / "org" / "app")
    repositories = ChartRepositories(tmp_path / "state")
    clock = Clock()
    async with http_git(tmp_path / "served") as server:
        bases = RemoteBases(repositories.git, repositories._http, repositories._turns, clock.monotonic)
        made = World(origin, server, bases, clock)
        backend = server._backend

        async def answer(request: web.Request) -> web.Response:
            if not request.path.startswith("/files/"):
                return await backend(request)
            body = made.files.get(request.path.removeprefix("/files/"))
            return web.Response(status=404) if body is None else web.Response(body=body)

        server._backend = answer  # type: ignore[method-assign]
        yield made
        await bases.close()
        await repositories.close()


def kustomized(directory: Path) -> set[str]:
    """What kustomize itself makes of a directory, fetching what it names."""
    done = subprocess.run(
        [binaries.kubectl(), "kustomize", str(directory)], env=clean_environment(), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return set(map(_shown, YAML(typ="safe", pure=True).load_all(done.stdout)))


def _shown(manifest: object) -> str:
    return repr(sorted(manifest.items())) if isinstance(manifest, dict) else repr(manifest)


async def test_a_build_comes_to_what_kustomize_makes_of_it(world: World, tmp_path: Path) -> None:
    """Bases in bases, files of other directories of the repository, components, patches and files by URL."""
    world.files["one.yaml"] = config_map("by-url").encode()
    world.origin.commit(
        {
            "base/kustomization.yaml": "resources: [x.yaml, inner]\nnamePrefix: base-\n",
            "base/x.yaml": config_map("x"),
            "base/inner/kustomization.yaml": f"resources: [deep.yaml, '{world.server.url}/files/one.yaml']\n",
            "base/inner/deep.yaml": config_map("deep"),
            "part/kustomization.yaml": f"apiVersion: {COMPONENTS}\nkind: Component\nnameSuffix: -part\n",
        }
    )
    world.origin.git("tag", "v1")
    outer = "resources: [local.yaml, 'URL//base/inner?ref=v1']\nnamePrefix: outer-\n".replace("URL", world.url)
    world.origin.commit({"outer/kustomization.yaml": outer, "outer/local.yaml": config_map("local")})
    files = {
        "apps/kustomization.yaml": f"""\
            namespace: apps
            resources: ['{world.url}//outer?ref=main', '{world.url}//base?ref=v1', own.yaml]
            components: ['{world.url}//part?ref=v1']
            patches:
            - {{target: {{name: base-deep}}, patch: '[{{"op": "replace", "path": "/data/text", "value": "patched"}}]'}}
            """,
        "apps/own.yaml": config_map("own"),
    }
    desired = await world.build(files, "apps")
    assert not desired.errors
    wanted = await asyncio.to_thread(kustomized, written(files, tmp_path / "there") / "apps")
    assert {_shown(item.manifest) for item in desired.objects.values()} == wanted
    assert len(wanted) == 7
    places = {key.name: str(item.origin) for key, item in desired.objects.items()}
    assert places["own-part"] == "apps/own.yaml:1:1"
    assert ".gitsync-remote/127.0.0.1-" in places["base-x-part"]
    assert "org-app-" in places["base-x-part"]
    assert places["base-x-part"].endswith("/base/x.yaml:1:1")
    assert places["base-by-url-part"].endswith("/one.yaml:1:1")


async def test_submodules_are_in_their_places_as_kustomize_has_them(world: World, tmp_path: Path) -> None:
    library = Repository.make(world.origin.path.parent / "library")
    pinned = library.commit({"kustomization.yaml": "resources: [x.yaml]\n", "x.yaml": config_map("of-library")})
    world.origin.commit(
        {
            ".gitmodules": '[submodule "library"]\n\tpath = vendored/library\n\turl = ../library\n',
            "kustomization.yaml": "resources: [vendored/library]\n",
        }
    )
    world.origin.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},vendored/library")
    world.origin.git("commit", "--quiet", "-m", "a submodule")
    files = {"kustomization.yaml": f"resources: ['{world.url}//?ref=main']\n"}
    desired = await world.build(files)
    wanted = await asyncio.to_thread(kustomized, written(files, tmp_path / "there"))
    assert {_shown(item.manifest) for item in desired.objects.values()} == wanted
    (error,) = await world.names(f"'{world.url}//?ref=main&submodules=false'")
    assert "vendored/library" in error


async def test_a_file_of_another_directory_of_the_repository_is_read_as_flux_reads_it(world: World) -> None:
    world.origin.commit(
        {"base/kustomization.yaml": "resources: [../shared/x.yaml]\n", "shared/x.yaml": config_map("x")}
    )
    assert await world.names(f"{world.url}//base") == ["x"]


async def test_a_ref_is_a_tag_a_branch_or_a_commit(world: World) -> None:
    def app(name: str) -> Files:
        return {"kustomization.yaml": "resources: [x.yaml]\n", "x.yaml": config_map(name)}

    first = world.origin.commit(app("first"))
    world.origin.git("tag", "v1")
    world.origin.git("checkout", "--quiet", "-b", "dev/one")
    world.origin.commit(app("on-the-branch"))
    world.origin.git("checkout", "--quiet", "main")
    world.origin.commit(app("second"))
    for ref, name in (("v1", "first"), (first, "first"), ("dev/one", "on-the-branch"), ("main", "second")):
        assert await world.names(f"{world.url}.git//?ref={ref}".replace(".git//", "//")) == [name]
        assert await world.names(f"{world.url}/?ref={ref}") == [name], "a repository is the first two parts of the path"
    assert await world.names(f"{world.url}//") == ["second"]
    (said,) = await world.names(f"{world.url}//?ref=nowhere")
    assert said.startswith(f"kustomization.yaml:3:3: resources[0]: '{world.url}//?ref=nowhere'")
    assert "tag `nowhere`" in said


async def test_a_branch_that_has_moved_is_another_build_and_anything_else_is_none(world: World) -> None:
    world.origin.commit({"kustomization.yaml": "resources: [x.yaml]\n", "x.yaml": config_map("one")})
    url = f"{world.url}//?ref=main"
    assert await world.names(url) == ["one"]
    asked = len(world.server.seen)
    assert await world.names(url) == ["one"]
    assert len(world.server.seen) == asked, "a hundred with the same base ask once"
    world.origin.commit({"x.yaml": config_map("two")})
    assert await world.names(url) == ["one"]
    assert len(world.kustomizer.runs) == 1
    world.clock.advance(FRESH + 1)
    assert await world.names(url) == ["two"]
    assert await world.names(url) == ["two"]
    assert len(world.kustomizer.runs) == 2


async def test_a_file_is_asked_for_again_and_built_again_when_it_is_another(world: World) -> None:
    url = f"{world.server.url}/files/x.yaml"
    (said,) = await world.names(url)
    assert said.startswith(f"kustomization.yaml:3:3: resources[0]: '{url}' {url}: not found (404)")
    world.files["x.yaml"] = config_map("one").encode()
    assert await world.names(url) == ["one"]
    world.files["x.yaml"] = config_map("two").encode()
    assert await world.names(url) == ["one"]
    world.clock.advance(FRESH + 1)
    assert await world.names(url) == ["two"]
    world.files["x.yaml"] = b"kind: [\n"
    world.clock.advance(FRESH + 1)
    (said,) = await world.names(url)
    assert "/x.yaml:2:1" in said.partition(": ")[0], "the file and line of what was fetched"
    assert said.startswith(".gitsync-remote/127.0.0.1-")
    world.files["x.yaml"] = b"#" * (9 << 20)
    world.clock.advance(FRESH + 1)
    (said,) = await world.names(url)
    assert "is larger than 8 MiB" in said


@pytest.mark.parametrize("written", ["files/x.yaml?", "files/%78.yaml"])
async def test_a_file_is_asked_for_once_however_its_url_is_written(world: World, written: str) -> None:
    world.files["x.yaml"] = config_map("one").encode()
    assert await world.names(f"{world.server.url}/{written}") == ["one"]
    asked = len(world.server.seen)
    assert await world.names(f"{world.server.url}/{written}") == ["one"]
    assert len(world.server.seen) == asked


async def test_neither_can_read_what_the_other_has(world: World) -> None:
    world.origin.commit({"kustomization.yaml": "resources: [../../own.yaml]\n", "x.yaml": config_map("x")})
    files = {"kustomization.yaml": f"resources: ['{world.url}//']\n", "own.yaml": config_map("own")}
    (error,) = (await world.build(files)).errors
    assert error.message == "resources[0]: '../../own.yaml' leads out of the repository"
    assert error.origin.path.startswith(".gitsync-remote/")

    world.origin.commit({"kustomization.yaml": "resources: [x.yaml]\n"})
    world.clock.advance(FRESH + 1)
    place = next(iter((await world.build(files)).objects.values())).origin.path
    files["kustomization.yaml"] = f"resources: ['{world.url}//', '{place}']\n"
    (error,) = (await world.build(files)).errors
    assert error.message == f"resources[1]: '{place}' leads out of the repository"


async def test_what_cannot_be_fetched_is_said_at_its_line(world: World) -> None:
    world.origin.commit({"file.yaml": config_map("x"), "bare/x.yaml": config_map("x")})
    said = {
        f"{world.url}//nowhere": "there is no such file or directory",
        f"{world.url}//bare": "has no kustomization",
        f"{world.server.url}/org/none//x": "there is no repository at",
        "https://127.0.0.1:1/org/app//x": "127.0.0.1",
        "ssh://git@example.invalid/org/app": "is not fetched",
    }
    for url, why in said.items():
        (found,) = await world.names(f"'{url}'")
        assert found.startswith("kustomization.yaml:3:3: resources[0]: "), found
        assert why in found
    for field in ("generators", "transformers"):
        (found,) = await world.names(f"{world.server.url}/files/x.yaml", field)
        assert "is remote" in found, "what a plugin reads cannot be looked through"
    (found,) = await world.names(f"{world.url}//bare", "components")
    assert "has no kustomization" in found


async def test_no_hint_is_to_allow_what_is_allowed(world: World) -> None:
    """Remote bases are allowed here: what is wrong is the path, or that a plugin names a URL."""
    world.origin.commit({"bare/x.yaml": config_map("x")})
    for field, url in (
        ("resources", f"{world.url}//nowhere"),
        ("resources", f"{world.url}//bare"),
        ("components", f"{world.url}//bare"),
        ("generators", f"{world.server.url}/files/x.yaml"),
    ):
        (error,) = (await world.build({"kustomization.yaml": f"{field}: ['{url}']\n"})).errors
        wanted = "what plugins name is never fetched" if field == "generators" else "correct the path in the URL"
        assert wanted in error.hint, error


async def test_there_is_a_bound_to_how_much_is_fetched(world: World) -> None:
    for number in range(33):
        world.files[f"{number}.yaml"] = config_map(f"x{number}").encode()
    entries = "".join(f"- {world.server.url}/files/{number}.yaml\n" for number in range(33))
    desired = await world.build({"kustomization.yaml": f"resources:\n{entries}"})
    (error,) = desired.errors
    assert "is one of more than 32 remote bases and files in one build" in error.message


async def test_a_base_that_leads_back_to_itself_ends(world: World) -> None:
    world.origin.commit({"kustomization.yaml": f"resources: ['{world.url}//']\n"})
    (found,) = await world.names(f"{world.url}//")
    assert "a circle of kustomizations" in found
