"""GitRepositories of a real cluster, with real Git servers: what they stand for, and when they stand for nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from gitsync.api.conditions import condition_of
from gitsync.api.identity import ObjectKey
from gitsync.api.names import GIT_REPOSITORY, SOURCE_GROUP
from gitsync.errors import ChartError, GitRefused, GitUnavailable
from gitsync.git import GitCredentials, GitReference, GitSource, Mirror
from gitsync.sources.git import GitArtifact, GitArtifacts, GitPlace, GitSpec
from gitsync.sources.kinds.gitrepository import circle_of, oldest_answer
from gitsync.sources.resolve.artifacts import Artifact, Head
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from tests.charts import servers as charts_servers
from tests.git.git_world import HttpGit, Repository, authority, basic, http_git
from tests.git.ssh_world import client_path, ssh_git
from tests.logins.clouds import GitHub
from tests.sources.gitworld import World, has, origin, release, served, server, serving, world
from tests.sources.world import chart, config_map
from tests.until import until

__all__ = ["origin", "served", "server", "world"]

PASSWORD = "s3cret-of-git"


def fetches(server: HttpGit) -> int:
    """How often refs were asked for: each conversation begins with that."""
    return sum("info/refs" in path for _, path, _ in server.seen)


async def test_each_kind_of_reference_means_what_it_means_in_flux(served: World) -> None:
    first = served.commit("1.0.0")
    served.origin.git("tag", "v1.0.0")
    second = served.commit("1.1.0")
    served.origin.git("tag", "-a", "1.1.0", "-m", "annotated")
    third = served.commit("2.0.0")
    served.origin.git("update-ref", "refs/pull/7/head", first)
    served.origin.git("branch", "master", second)
    references: dict[str, tuple[dict[str, str] | None, str, str]] = {
        "branch": ({"branch": "main"}, "2.0.0", f"main@sha1:{third}"),
        "default": (None, "1.1.0", f"master@sha1:{second}"),
        "tag": ({"branch": "main", "tag": "v1.0.0"}, "1.0.0", f"v1.0.0@sha1:{first}"),
        "semver": ({"tag": "v1.0.0", "semver": ">=1.0.0"}, "1.1.0", f"1.1.0@sha1:{second}"),
        "name": ({"semver": "1.x", "name": "refs/pull/7/head"}, "1.0.0", f"refs/pull/7/head@sha1:{first}"),
        "commit": ({"name": "refs/pull/7/head", "commit": third}, "2.0.0", f"sha1:{third}"),
        "pinned": ({"branch": "main", "commit": first}, "1.0.0", f"main@sha1:{first}"),
    }
    for name, (ref, _, _) in references.items():
        await served.apply(name, ref=ref)
    for name, (_, version, revision) in references.items():
        await until(lambda name=name, revision=revision: served.is_ready(name, revision))
        assert await served.version(name) == version
    status = await served.status("tag")
    assert status["observedGeneration"] == 1
    assert status["artifact"]["digest"].startswith("sha256:")
    assert status["artifact"]["url"] == f"{served.url}/fleet"
    stored = condition_of({"status": status}, "ArtifactInStorage")
    assert (stored["reason"], stored["message"]) == ("Succeeded", f"stored artifact for revision 'v1.0.0@sha1:{first}'")


async def test_many_of_one_url_are_asked_for_by_one_question_and_fetched_once(
    world: World, server: HttpGit, tmp_path: Path
) -> None:
    world.commit("1.0.0")
    names = [f"app-{number}" for number in range(20)]
    for name in names:
        await world.apply(name, interval="3s")
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        for name in names:
            await until(lambda name=name: world.is_ready(name))
        assert fetches(server) <= 4, "a question for all, one for who came late, and one fetch"
        assert len(list((tmp_path / "cache" / "git").glob("*.git"))) == 1
        server.seen.clear()
        world.commit("2.0.0")
        for name in names:
            await until(lambda name=name: has(world, name, "2.0.0"))
        assert fetches(server) <= 4, "20 questions of their own otherwise"


async def test_what_is_asked_for_is_asked_at_once_and_a_tag_that_moves_is_followed(served: World) -> None:
    served.commit("1.0.0")
    served.origin.git("tag", "stable")
    await served.apply(ref={"tag": "stable"})
    await until(lambda: has(served, "app", "1.0.0"))
    moved = served.commit("1.0.1")
    served.origin.git("tag", "--force", "stable")
    await served.ask("app", "now")
    await until(lambda: served.is_ready("app", f"stable@sha1:{moved}"))
    assert (await served.status())["lastHandledReconcileAt"] == "now"
    assert await served.version() == "1.0.1"


async def test_a_restart_and_a_remote_that_is_away_leave_what_was_found(
    world: World, server: HttpGit, tmp_path: Path
) -> None:
    commit = world.commit("1.0.0")
    await world.apply()
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await until(lambda: world.is_ready("app", f"main@sha1:{commit}"))
    server.status = 503
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await until(lambda: world.fails("GitOperationFailed", "503"))
        assert await world.version() == "1.0.0"
        assert (await world.status())["artifact"]["revision"] == f"main@sha1:{commit}"
        server.status = 0
        await until(lambda: world.is_ready("app"))


@pytest.mark.parametrize(
    ("accepted", "secret"),
    [
        (basic("ada", PASSWORD), {"username": "ada", "password": PASSWORD}),
        (f"Bearer {PASSWORD}", {"bearerToken": PASSWORD}),
    ],
)
async def test_https_with_a_login_and_an_authority_of_its_own(
    world: World, origin: Repository, tmp_path: Path, accepted: str, secret: dict[str, str]
) -> None:
    world.commit("1.0.0")
    context, ca = authority(tmp_path)
    async with http_git(origin.path.parent, context) as server, AsyncExitStack() as stack:
        server.accepted = {accepted}
        server.challenge = "Bearer" if "Bearer" in accepted else 'Basic realm="git"'
        await serving(world, stack, tmp_path / "cache")
        await world.secret("login", {**secret, "ca.crt": ca.read_text()})
        await world.apply(url=f"{server.url}/fleet", secretRef={"name": "login"})
        await until(lambda: has(world, "app", "1.0.0"))
        if "Bearer" in accepted:
            sent = {authorization for _, _, authorization in server.seen} - {""}
            assert sent == {accepted}, "a bearer token is never sent as a password"


async def test_what_is_wrong_with_a_login_is_said_without_it(
    world: World, origin: Repository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.commit("1.0.0")
    context, ca = authority(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, stranger = authority(other)
    async with http_git(origin.path.parent, context) as server, AsyncExitStack() as stack:
        server.accepted = {basic("ada", "right")}
        await serving(world, stack, tmp_path / "cache")
        url = f"{server.url}/fleet"
        await world.secret("wrong", {"username": "ada", "password": PASSWORD, "ca.crt": ca.read_text()})
        await world.secret("foreign", {"username": "ada", "password": "right", "ca.crt": stranger.read_text()})
        await world.secret("half", {"username": "ada", "ca.crt": ca.read_text()})
        await world.secret("app", {"githubAppID": "1"})
        for name in ("wrong", "foreign", "half", "app", "missing"):
            await world.apply(name, url=url, secretRef={"name": name})
        failures = {
            "wrong": ("AuthenticationFailed", "refuses our credentials"),
            "foreign": ("GitOperationFailed", "no trusted connection to"),
            "half": ("AuthenticationFailed", "has one of username and password without the other"),
            "app": ("AuthenticationFailed", "is of a GitHub App, and spec.provider is not github"),
            "missing": ("AuthenticationFailed", "does not exist"),
        }
        for name, (reason, words) in failures.items():
            await until(lambda name=name, reason=reason, words=words: world.fails(reason, words, name))
            assert words in await world.version(name), "who uses it says why"
        said = [str(await world.status(name)) for name in failures]
        events = await world.cluster.list("", "Event", namespace=world.namespace)
        assert PASSWORD not in "".join([*said, str(events), caplog.text])


async def test_a_github_app_logs_in_and_its_next_token_wakes_nobody(
    world: World, origin: Repository, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world.commit("1.0.0")
    context, ca = authority(tmp_path)
    github = GitHub(lifetime=0.2)
    async with (
        http_git(origin.path.parent, context) as server,
        charts_servers.serving(github.handle, context) as api,
        AsyncExitStack() as stack,
    ):
        server.accepted = set()

        def let_in(token: str) -> None:
            server.accepted = {basic("x-access-token", token)}  # that one alone

        github.on_token = let_in
        await serving(world, stack, tmp_path / "cache")
        secret = {
            "githubAppID": "12345",
            "githubAppInstallationOwner": "acme",
            "githubAppPrivateKey": github.pem,
            "githubAppBaseURL": api.url.replace("localhost", "127.0.0.1") + "/api/v3",
            "ca.crt": ca.read_text(),
        }
        await world.secret("github", secret)
        await world.apply(url=f"{server.url}/fleet", provider="github", secretRef={"name": "github"})
        await until(lambda: has(world, "app", "1.0.0"))

        assert world.sources is not None
        told: list[object] = []
        world.sources.subscribe(told.append)
        given = len(github.tokens)
        await world.ask("app", "without news")
        await until(lambda: len(github.tokens) > given)

        async def is_handled() -> bool:
            return (await world.status()).get("lastHandledReconcileAt") == "without news"

        await until(is_handled)
        assert told == [], "a token that follows another is no news"
        assert len(list((tmp_path / "cache" / "git").glob("*.git"))) == 1, "the mirror stays the same"

        world.commit("2.0.0")
        await world.ask("app", "with news")
        await until(lambda: has(world, "app", "2.0.0"))
        said = str(await world.status()) + str(await world.cluster.list("", "Event", namespace=world.namespace))
        assert not any(token in said + caplog.text for token in github.tokens)

        await world.secret("github", {"githubAppPrivateKey": GitHub().pem})
        await until(lambda: world.fails("AuthenticationFailed", "GitHub gives no login (401"))
        assert await world.version() == "2.0.0", "what runs keeps running"


def test_a_place_with_the_login_of_a_secret_has_the_name_on_disk_that_earlier_versions_gave_it() -> None:
    assert GitPlace("https://git.example/fleet", GitCredentials("ann", "pass-word")).id.startswith("9d145d785ff4")


async def test_ssh_with_a_key_and_a_host_key_that_changes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", client_path(tmp_path / "bin"))
    world.commit("1.0.0")
    directory = tmp_path / "ssh"
    directory.mkdir()
    async with ssh_git(directory) as server, AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        url = server.url(world.origin.path)
        identity, known = server.key_file.read_text(), server.known_hosts_file.read_text()
        await world.secret("key", {"identity": identity.rstrip("\n"), "known_hosts": known})
        await world.apply(url=url, secretRef={"name": "key"})
        await until(lambda: has(world, "app", "1.0.0"))
        assert set(server.users) == {"git"}

        stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        await world.secret("key", {"known_hosts": f"[127.0.0.1]:{server.port} {stranger}"})
        await world.ask("app", "again")
        await until(lambda: world.fails("GitOperationFailed", "host key of"))
        assert await world.version() == "1.0.0", "what runs keeps running"
        await world.apply("bare", url=url)
        await until(lambda: world.fails("AuthenticationFailed", "there is no secretRef", "bare"))


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="this machine has no OpenSSH, which the key is for")
async def test_a_key_with_a_passphrase_is_opened_by_the_password_of_its_secret(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", client_path(tmp_path / "bin"))
    world.commit("1.0.0")
    directory = tmp_path / "ssh"
    directory.mkdir()
    async with ssh_git(directory) as server, AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        lock = ["ssh-keygen", "-p", "-P", "", "-N", PASSWORD, "-f", str(server.key_file)]
        await asyncio.to_thread(subprocess.run, lock, check=True, capture_output=True)
        known, locked = server.known_hosts_file.read_text(), server.key_file.read_text()
        await world.secret("key", {"identity": locked, "known_hosts": known, "password": PASSWORD})
        await world.apply(url=server.url(world.origin.path), secretRef={"name": "key"})
        await until(lambda: has(world, "app", "1.0.0"))


async def test_what_is_left_out_is_not_there_and_changes_nothing(served: World) -> None:
    served.commit("1.0.0", {"docs/app.md": "x", "picture.jpg": "x", ".sourceignore": "docs/\n"})
    await served.apply("ignored")
    await served.apply("defaults", ignore="/picture.jpg\n")
    await served.apply("sparse", sparseCheckout=["./charts"])
    await served.apply("nowhere", sparseCheckout=["nowhere"])
    for name in ("ignored", "defaults", "sparse"):
        await until(lambda name=name: served.is_ready(name))
    assert await paths(served, "ignored") == [".sourceignore", "charts/app/Chart.yaml", CM, "picture.jpg"]
    # ignore has the last word: who builds of it finds no .sourceignore to go by.
    assert await paths(served, "defaults") == ["charts/app/Chart.yaml", CM]
    assert await paths(served, "sparse") == ["charts/app/Chart.yaml", CM]
    await until(
        lambda: served.fails("GitOperationFailed", "sparseCheckout: there is no directory `nowhere`", "nowhere")
    )
    digest = (await served.status("ignored"))["artifact"]["digest"]
    commit = served.origin.commit({"docs/app.md": "y"})
    await served.ask("ignored", "now")
    await until(lambda: served.is_ready("ignored", f"main@sha1:{commit}"))
    assert (await served.status("ignored"))["artifact"]["digest"] == digest
    await served.apply("ignored", ignore="[a--b]")
    await until(lambda: served.fails("GitOperationFailed", "spec.ignore:1: not a pattern", "ignored"))


async def test_a_link_to_what_is_left_out_is_still_that_file(served: World) -> None:
    (served.origin.path / "linked.md").symlink_to("docs/app.md")
    served.commit("1.0.0", {"docs/app.md": "x", ".sourceignore": "docs/\n"})
    await served.apply()
    await until(served.is_ready)
    assert await paths(served, "app") == [".sourceignore", "charts/app/Chart.yaml", CM, "linked.md"]
    digest = (await served.status())["artifact"]["digest"]
    commit = served.origin.commit({"docs/app.md": "y"})
    await served.ask("app", "now")
    await until(lambda: served.is_ready("app", f"main@sha1:{commit}"))
    assert (await served.status())["artifact"]["digest"] != digest


CM = "charts/app/templates/cm.yaml"


async def paths(world: World, name: str) -> list[str]:
    assert world.sources is not None
    return [entry.path for entry in await (await world.sources._git.artifact_of(world.key(name))).tree.entries()]


async def test_an_included_repository_is_part_of_it_and_its_changes_are_too(
    served: World, tmp_path: Path, server: HttpGit
) -> None:
    other = Repository.make(server.root / "other")
    first = other.commit({"lib/a.yaml": "a: 1\n", "README.md": "x"})
    served.commit("1.0.0", {"vendored/old.yaml": "x"})
    include = [{"repository": {"name": "other"}, "fromPath": "lib", "toPath": "vendored"}]
    await served.apply("app", include=include)
    await until(lambda: served.fails("NoArtifact", "does not exist", kind="IncludeUnavailable"))
    await served.apply("other", url=f"{served.url}/other")
    await until(lambda: served.is_ready("app"))
    assert await paths(served, "app") == ["charts/app/Chart.yaml", CM, "vendored/a.yaml"]
    status = await served.status("app")
    assert [it["revision"] for it in status["includedArtifacts"]] == [f"main@sha1:{first}"]
    assert status["observedInclude"] == include
    second = other.commit({"lib/b.yaml": "b: 1\n"})
    await served.ask("other", "now")

    async def is_included() -> bool:
        found = (await served.status("app")).get("includedArtifacts") or []
        return [it["revision"] for it in found] == [f"main@sha1:{second}"]

    await until(is_included)
    assert await paths(served, "app") == ["charts/app/Chart.yaml", CM, "vendored/a.yaml", "vendored/b.yaml"]
    await served.apply("other", url=f"{served.url}/other", include=[{"repository": {"name": "app"}}])
    await until(lambda: served.fails("NoArtifact", "in a circle: ", "other", "IncludeUnavailable"))


async def test_submodules_are_read_when_that_is_asked_for(served: World, server: HttpGit) -> None:
    library = Repository.make(server.root / "library")
    pinned = library.commit({"Chart.yaml": chart("library", "3.0.0")})
    library.commit({"Chart.yaml": chart("library", "4.0.0")})
    served.commit("1.0.0", {".gitmodules": '[submodule "library"]\n\tpath = charts/library\n\turl = ../library\n'})
    served.origin.git("update-index", "--add", "--cacheinfo", f"160000,{pinned},charts/library")
    served.origin.git("commit", "--quiet", "-m", "a submodule")
    await served.apply("with", recurseSubmodules=True)
    await served.apply("without")
    assert served.sources is not None
    for name in ("with", "without"):
        await until(lambda name=name: served.is_ready(name))
    located = await served.sources.locate(release(served.namespace, "with", "charts/library"))
    assert (located.name, located.version) == ("library", "3.0.0")
    with pytest.raises(ChartError, match="a Git submodule, whose content is not in this repository"):
        await served.sources.locate(release(served.namespace, "without", "charts/library"))

    # A server that is away takes nothing from what was found, the mirrors of submodules neither.
    server.status = 503
    await served.ask("with", "again")
    await until(lambda: served.fails("GitOperationFailed", "", "with"))
    tree = (await served.sources.trees.tree_of(served.key("with"))).tree
    (entry,) = [item for item in await tree.entries("charts/library") if item.path.endswith("Chart.yaml")]
    assert await tree.read([entry.blob_id]) == {entry.blob_id: chart("library", "3.0.0").encode()}

    # Nor does a mirror that was not needed for a while, and is another by then.
    server.status = 0
    with_it = served.origin.git("rev-parse", "HEAD")
    served.origin.git("update-ref", "refs/heads/main", served.origin.git("rev-parse", "HEAD~1"))
    await served.ask("with", "without")
    await until(lambda: served.is_ready("with", f"main@sha1:{served.origin.git('rev-parse', 'main')}"))
    served.origin.git("update-ref", "refs/heads/main", with_it)
    await served.ask("with", "with it")
    await until(lambda: served.is_ready("with", f"main@sha1:{with_it}"))
    tree = (await served.sources.trees.tree_of(served.key("with"))).tree
    assert await tree.read([entry.blob_id]) == {entry.blob_id: chart("library", "3.0.0").encode()}


def test_a_circle_is_found_however_many_ways_lead_to_it_and_however_long_they_are() -> None:
    start = ObjectKey(SOURCE_GROUP, GIT_REPOSITORY, "x", "0")

    def often(key: ObjectKey) -> list[str]:
        number = int(key.name)
        return [str(number + 1)] * 3 if number < 5000 else []

    assert circle_of(start, often) == []
    names = [item.name for item in circle_of(start, lambda key: often(key) or ["4998"])]
    assert names == ["4998", "4999", "5000", "4998"]


async def test_fields_that_are_not_honoured_are_refused_by_name(served: World) -> None:
    served.commit("1.0.0")
    await served.secret("proxy", {"address": "http://proxy.example:3128"})
    refused: dict[str, dict[str, Any]] = {
        "http": {"provider": "github"},
        "github": {"provider": "github", "url": "https://github.example/fleet"},
        "aws": {"provider": "aws"},
        "proxy": {"url": "ssh://git@git.example/fleet", "proxySecretRef": {"name": "proxy"}},
    }
    words = {
        "http": "spec.url: provider github is for https alone",
        "github": "spec.provider: github needs a Secret with a GitHub App",
        "aws": "spec.provider: aws is not supported yet: gitsync does not log in to CodeCommit",
        "proxy": "spec.proxySecretRef: ",
    }
    for name, spec in refused.items():
        await served.apply(name, **spec)
        await until(lambda name=name: served.fails("NotSupported", words[name], name))


@pytest.mark.parametrize("links", [False, True])
async def test_a_repository_of_any_size_or_shape_harms_nobody(served: World, links: bool) -> None:
    served.commit("1.0.0")
    if links:
        for name, target in {"out": "/etc/passwd", "up": "../../..", "loop": "loop", "inside": "charts/app"}.items():
            (served.origin.path / name).symlink_to(target)
        served.origin.commit({})
        await served.apply()
        await until(lambda: served.is_ready())
        assert served.sources is not None
        assert (await served.sources.locate(release(served.namespace, path="inside"))).version == "1.0.0"
        with pytest.raises(ChartError, match="leads out of the repository"):
            await served.sources.locate(release(served.namespace, path="up"))
        return
    blob = served.origin.git("hash-object", "-w", "--stdin", stdin=b"x")
    tree = served.origin.git("mktree", stdin="".join(f"100644 blob {blob}\t{n}\n" for n in range(2000)).encode())
    top = served.origin.git("mktree", stdin="".join(f"040000 tree {tree}\t{n}\n" for n in range(100)).encode())
    served.origin.git("update-ref", "refs/heads/huge", served.origin.git("commit-tree", top, "-m", "200,000 files"))
    await served.apply(ref={"branch": "huge"})
    await until(lambda: served.fails("GitOperationFailed", "200,100 files and folders, over the limit of 100,000"))


async def test_one_that_names_the_synced_repository_is_its_mirror_and_nothing_is_fetched_for_it(
    served: World, server: HttpGit, tmp_path: Path
) -> None:
    first = served.commit("1.0.0")
    mirror = Mirror(GitSource(f"{served.url}/fleet"), tmp_path / "agent")
    try:
        repository = served.artifacts.add("gitsync-system/fleet", Head(f"{served.url}/fleet", GitReference()))
        polls: list[str] = []
        repository.poll_now = lambda: polls.append("asked")
        await served.apply("fleet")  # as in every Flux repository, under another name
        commit = await mirror.fetch(await mirror.head())
        server.seen.clear()
        repository.polled(None, mirror.default_branch)
        repository.carry_out(Artifact(commit, await mirror.artifact(commit.id)), ())
        await until(lambda: served.is_ready("fleet", f"main@sha1:{first}"))
        assert await served.version("fleet") == "1.0.0"
        await served.ask("fleet", "now")
        await until(lambda: bool(polls))
        assert (await served.status("fleet")).get("lastHandledReconcileAt") != "now"
        repository.polled(None, mirror.default_branch)

        async def is_handled() -> bool:
            return (await served.status("fleet")).get("lastHandledReconcileAt") == "now"

        await until(is_handled)
        repository.polled(GitUnavailable("the server is away"))
        await until(lambda: served.fails("GitOperationFailed", "the server is away", "fleet"))
        assert server.seen == []
        repository.polled(None, mirror.default_branch)
        await until(lambda: served.is_ready("fleet"))
        # Without what its `ignore` leaves out it is that repository all the same.
        await served.apply("fleet", ignore="docs/\n")
        await until(lambda: served.is_ready("fleet"))
        assert server.seen == []
        # Of another branch than the agent's, which nobody has known until now, it is a repository of its own.
        served.origin.git("branch", "other")
        repository.head = Head(f"{served.url}/fleet")
        await served.apply("other", ref={"branch": "other"})
        await until(lambda: served.is_ready("other", f"other@sha1:{first}"))
        assert server.seen == []
        repository.polled(None, "main")
        await until(lambda: server.seen != [])
    finally:
        await mirror.close()


async def test_a_mirror_goes_with_the_last_one_that_names_it(served: World, tmp_path: Path) -> None:
    served.commit("1.0.0")
    await served.apply("one")
    await served.apply("two")
    for name in ("one", "two"):
        await until(lambda name=name: served.is_ready(name))
    folder = tmp_path / "cache" / "git"
    await served.cluster.delete(served.key("one"))
    await until(lambda: has(served, "two", "1.0.0"))
    assert list(folder.glob("*.git"))
    await served.cluster.delete(served.key("two"))
    await until(lambda: not list(folder.iterdir()))
    await asyncio.sleep(0)


async def test_a_secret_that_changes_wakes_the_source_that_names_it(
    world: World, server: HttpGit, tmp_path: Path
) -> None:
    world.commit("1.0.0")
    server.accepted = {basic("ada", PASSWORD)}
    async with AsyncExitStack() as stack:
        await serving(world, stack, tmp_path / "cache")
        await world.secret("login", {"username": "ada", "password": PASSWORD})
        await world.apply(secretRef={"name": "login"})
        await until(lambda: has(world, "app", "1.0.0"))
        await world.secret("login", {"password": "wrong"})
        await until(lambda: world.fails("AuthenticationFailed", "refuses our credentials"))
        server.accepted = {basic("ada", "renewed")}
        world.commit("2.0.0")
        await world.secret("other", {"password": "x"})
        await world.secret("login", {"password": "renewed"})
        await until(lambda: has(world, "app", "2.0.0"))


async def test_a_mirror_that_nobody_has_named_for_a_week_is_removed_from_the_disk(
    served: World, tmp_path: Path
) -> None:
    served.commit("1.0.0")
    await served.apply()
    await until(lambda: served.is_ready())
    folder = tmp_path / "cache" / "git"
    for name, days in (("old", 8), ("young", 6)):
        (folder / f"{name}.git").mkdir()
        lock = folder / f"{name}.lock"
        lock.touch()
        long_ago = lock.stat().st_mtime - days * 24 * 3600
        os.utime(lock, (long_ago, long_ago))
    assert served.fetched is not None
    await served.fetched.git.mirrors.sweep()
    left = {path.name for path in folder.glob("*.git")}
    assert "young.git" in left
    assert "old.git" not in left
    assert len(left) == 2, "the one in use stays"


async def test_what_was_included_stays_when_the_included_repository_goes(served: World, server: HttpGit) -> None:
    other = Repository.make(server.root / "other")
    other.commit({"templates/other.yaml": config_map("other")})
    served.commit("1.0.0")
    await served.apply("other", url=f"{served.url}/other")
    await served.apply("plain", include=[{"repository": {"name": "other"}, "toPath": "charts/app/other"}])
    await until(lambda: served.is_ready("plain"))
    await served.cluster.delete(served.key("other"))
    await until(lambda: served.fails("NoArtifact", "does not exist", "plain", "IncludeUnavailable"))
    assert served.sources is not None
    chart = await (await served.sources.locate(release(served.namespace, "plain"))).load()
    assert chart.version == "1.0.0"
    await served.cluster.delete(served.key("plain"))


async def test_an_artifact_knows_the_author_and_the_subject_of_its_commit_after_a_restart_too(
    tmp_path: Path, origin: Repository
) -> None:
    commit = origin.commit({"a": "1"}, "a subject")
    author = origin.git("show", "--no-patch", "--format=%an", commit)
    spec, store = GitSpec(GitPlace(str(origin.path)), GitReference(branch="main")), Store(tmp_path / "store")
    life = GitArtifacts(tmp_path / "git", store, Turns(), 60.0)
    await life.refresh("app", spec)
    await life.close()
    again = GitArtifacts(tmp_path / "git", store, Turns(), 60.0)
    found = await again.known(spec)
    await again.close()
    assert found is not None
    assert (found.info.id, found.info.author, found.info.subject) == (commit, author, "a subject")


async def test_a_mirror_that_another_process_needs_stays_on_the_disk(tmp_path: Path, origin: Repository) -> None:
    commit = origin.commit({"a": "1"})
    place = GitPlace(str(origin.path))
    spec = GitSpec(place, GitReference(branch="main"))
    lives = [GitArtifacts(tmp_path / "git", Store(tmp_path / str(number)), Turns(), 60.0) for number in range(2)]
    try:
        for life in lives:
            assert (await life.refresh("app", spec)).commit == commit
        folder = tmp_path / "git"
        lives[0].forget("app", spec)
        await asyncio.gather(*lives[0].mirrors._closing)
        assert len(list(folder.glob("*.git"))) == 1
        assert [entry.path for entry in await (await lives[1].tree(spec, await refreshed(lives[1], spec))).entries()]
        lives[1].forget("app", spec)
        await asyncio.gather(*lives[1].mirrors._closing)
        assert list(folder.iterdir()) == []
    finally:
        for life in lives:
            await life.close()


async def refreshed(life: GitArtifacts, spec: GitSpec) -> GitArtifact:
    found = await life.known(spec)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ({}, 946.0),
        ({"requested": True, "changed": True}, 1000.0),
        ({"changed": True}, 999.0),
        ({"failed": 990.0}, 990.0),
        ({"failed": 100.0}, 946.0),
    ],
)
def test_an_answer_that_another_one_has_had_within_the_interval_will_do(given: dict[str, Any], at: float) -> None:
    asked = {"requested": False, "changed": False, "failed": 0.0} | given
    assert oldest_answer(1000.0, 60.0, **asked) == pytest.approx(at)


async def test_an_answer_is_asked_for_when_the_last_is_too_old_or_about_other_references(
    tmp_path: Path, origin: Repository, server: HttpGit
) -> None:
    origin.commit({"a": "1"})
    origin.git("branch", "other")
    life = GitArtifacts(tmp_path / "git", Store(tmp_path), Turns(), 60.0)
    place = GitPlace(f"{server.url}/fleet")
    main, other = (GitSpec(place, GitReference(branch=name)) for name in ("main", "other"))

    async def questions(holder: str, spec: GitSpec, age: float) -> int:
        server.seen.clear()
        await life.refresh(holder, spec, not_before=time.monotonic() - age)
        return fetches(server)

    try:
        assert await questions("a", main, 0) == 2, "a question, and a fetch"
        assert await questions("b", main, 60) == 0
        assert await questions("c", other, 60) == 1, "of this branch nobody has asked yet"
        assert [await questions(name, spec, 60) for name, spec in (("a", main), ("c", other))] == [0, 0]
        assert await questions("a", main, 0) == 1
        assert await questions("c", other, 0.0) == 1
        told: list[object] = []
        life.mirrors.news = told.append
        origin.commit({"a": "2"})
        assert await questions("a", main, 0) == 2
        assert told == ["b"], "who wants another branch has no news"
    finally:
        await life.close()


async def test_nobody_waits_behind_one_whose_turns_are_all_taken(
    tmp_path: Path, origin: Repository, server: HttpGit
) -> None:
    """On behalf of one namespace a host is asked eight things at once."""
    commit = origin.commit({"a": "1"})
    server.held = "/slow"
    server.gate.clear()
    life = GitArtifacts(tmp_path / "git", Store(tmp_path), Turns(), 60.0)

    async def refresh(name: str, owner: str, holder: str) -> GitArtifact:
        spec = GitSpec(GitPlace(f"{server.url}/{name}"), GitReference(branch="main"), owner=owner)
        return await life.refresh(holder, spec)

    try:
        tasks = [asyncio.create_task(refresh(f"slow-{number}", "greedy", f"slow-{number}")) for number in range(8)]
        await until(lambda: fetches(server) == 8)
        tasks.append(asyncio.create_task(refresh("fleet", "greedy", "ninth")))
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            assert (await refresh("fleet", "modest", "modest")).commit == commit
        assert not tasks[-1].done()
        server.gate.set()
        assert (await tasks[-1]).commit == commit
        await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await life.close()


async def test_all_mirrors_together_have_a_bound_and_what_is_there_stays(
    tmp_path: Path, server: HttpGit, origin: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = origin.commit({"a": os.urandom(1 << 20)})
    large = Repository.make(server.root / "large")
    large.commit({"b": os.urandom(4 << 20)})
    life = GitArtifacts(tmp_path / "git", Store(tmp_path), Turns(), 60.0)
    small, other = (
        GitSpec(GitPlace(f"{server.url}/{name}"), GitReference(branch="main")) for name in ("fleet", "large")
    )
    monkeypatch.setattr("gitsync.sources.git.mirrors.MAX_MIRRORS", 3 << 20)
    try:
        found = await life.refresh("small", small)

        async def fetch_on() -> None:
            while True:  # a fetch may be over before anybody looks: then there is no room for the next one
                await life.refresh("large", other)
                large.commit({"b": os.urandom(4 << 20)})

        with pytest.raises(GitRefused, match="of all GitRepositories together are larger than 3 MiB"):
            await fetch_on()
        assert found.commit == commit
        assert [entry.path for entry in await (await life.tree(small, found)).entries()] == ["a"]
    finally:
        await life.close()
