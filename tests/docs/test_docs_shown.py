"""Every gitsync command that the documentation shows is run: in a sandbox, on copies of the sample repository."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from gitsync import logs
from gitsync.api.kinds import NOTIFICATION_GROUP, SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import KUSTOMIZE_GROUP
from gitsync.charts.serve import ChartServer
from gitsync.cli import main
from gitsync.cluster import Cluster
from gitsync.sandbox import Sandbox
from tests.controlplane import binaries
from tests.controlplane.processes import free_ports
from tests.controlplane.registry import Registry
from tests.controlplane.s3 import KEYS, S3
from tests.docs.markdown import PAGES, ROOT, code_lines
from tests.e2e.background import Background
from tests.e2e.harness import AgentProcess, Fleet
from tests.git.git_world import Repository, http_git

pytestmark = pytest.mark.e2e  # whole programs

GITSYNC = Path(sys.executable).with_name("gitsync")
#: The page whose commands belong together has a test of its own (test_docs_getting_started.py), and so has the command
#: that takes long: tests/cli/test_cli_demo.py runs it with and without --keep and --kubeconfig.
RUN_ELSEWHERE = ("docs/getting-started.md", "demo")
#: Commands that change what releases there are, or who serves them: these get a cluster without a repository.
APART = ("create", "install", "uninstall", "check", "logs", "delete")
#: The command that is an agent: each line gets an empty cluster.
AGENT = "run"
#: Commands that, with a word, end only when they are told to, and what they have said when they are at work.
ENDLESS = {
    ("sandbox", "--kubeconfig"): "Ctrl-C ends it",
    ("get", "--watch"): "redis",
    ("ui", "ui"): "Ctrl-C ends it",
    ("run", "--webhook-port"): "webhook of the repository",
    ("run", "--interval"): "gitsync started",
    ("run", "--config"): "gitsync started",
    ("run", "--web-port"): "gitsync started",
}
#: Exit codes besides 0 that say that a command has done its work: something differs.
FINE = {"plan": {2}, "diff": {2}}
PATIENCE = 120.0


def shown() -> dict[str, list[str]]:
    """The words of each command line by where it stands."""
    found = {}
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for number, line in code_lines(page):
            text = line.removeprefix("$ ").partition("  #")[0]
            if not text.startswith("gitsync ") or name in RUN_ELSEWHERE:
                continue
            words = shlex.split(text)[1:]
            if words[0] not in RUN_ELSEWHERE:
                found[f"{name}:{number} {text}"] = words
    return found


@pytest.fixture(scope="module")
def background() -> Iterator[Background]:
    with Background() as running:
        yield running


@pytest.fixture(scope="module")
def charts(background: Background) -> Iterator[str]:
    """The charts of the sample repository, served."""
    folder = ROOT / "sample-repo" / "charts"
    server = ChartServer({"bitnami": [folder / "redis"], "podinfo": [folder / "podinfo"]})
    background.run(server.__aenter__())
    yield server.url
    background.run(server.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def oci(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The chart podinfo in a registry that everybody may read; its authority is one that this machine trusts."""
    directory = tmp_path_factory.mktemp("oci")
    helm = binaries.ensure(binaries.HELM)
    registry = Registry(directory, binaries.ensure(binaries.REGISTRY), helm, login=False).start()
    packaging = [helm, "package", ROOT / "sample-repo" / "charts" / "podinfo", "-d", directory]
    subprocess.run(list(map(str, packaging)), check=True, capture_output=True)
    (archive,) = directory.glob("podinfo-*.tgz")
    registry.push(archive, "charts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(registry.certificates.ca))
        yield registry.url("charts/podinfo")
    registry.stop()


@pytest.fixture(scope="module")
def podinfo(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Git repository with a tag of a version, behind a server."""
    origin = Repository.make(tmp_path_factory.mktemp("git") / "podinfo")
    origin.commit({"charts/podinfo/Chart.yaml": "apiVersion: v2\nname: podinfo\nversion: 6.0.0\n"})
    origin.git("tag", "6.0.0")
    serving = http_git(origin.path.parent)
    server = background.run(serving.__aenter__())
    yield f"{server.url}/podinfo"
    background.run(serving.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def bucket(oci: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of the bucket ``apps``, which is trusted beside the registry."""
    directory = tmp_path_factory.mktemp("s3")
    server = S3(directory, binaries.ensure(binaries.VERSITYGW), "us-east-1").start()
    server.make("apps")
    server.put("apps", "map.yaml", "{}")
    trusted = directory / "trusted.crt"
    trusted.write_text(Path(os.environ["SSL_CERT_FILE"]).read_text() + server.ca)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(trusted))
        yield server.host
    server.stop()


@contextmanager
def sandbox(background: Background, directory: Path) -> Iterator[Path]:
    """Its kubeconfig."""
    made = Sandbox(kubeconfig=directory / "kubeconfig", delay=0.1)
    background.run(made.__aenter__())
    try:
        yield made.kubeconfig
    finally:
        background.run(made.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def fleet(charts: str, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """The repository that the pages talk about: three commits on main, one on feature, a tag; its own remote."""
    made = Fleet(tmp_path_factory.mktemp("world") / "fleet")
    sample = {
        str(file.relative_to(ROOT / "sample-repo")): file.read_text().replace("http://charts.example", charts)
        for file in (ROOT / "sample-repo" / "fleet").rglob("*.yaml")
    }
    files = {name.replace("fleet/", "clusters/prod/", 1): text for name, text in sample.items()}
    made.commit({**files, **sample, "token": "a token"}, "redis and backend")
    git(made.path, "tag", "v1.2.0")
    redis = "clusters/prod/releases/redis.yaml"
    made.edit(redis, "architecture: standalone", "architecture: standalone\n    one: 1", "one")
    made.edit(redis, "one: 1", "two: 2", "two")
    git(made.path, "switch", "--quiet", "-c", "feature")
    made.edit(redis, "two: 2", "three: 3", "three")
    git(made.path, "switch", "--quiet", "main")
    git(made.path, "remote", "add", "origin", str(made.path))
    git(made.path, "fetch", "--quiet")
    shutil.copytree(ROOT / "sample-repo", made.path / "sample-repo")  # the pages' examples are run in a checkout
    return made


def git(directory: Path, *words: str) -> str:
    command = ["git", "-C", str(directory), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


class World:
    """Runs lines in the directory of ``fleet``, with ``kubeconfig``; their example addresses become local ones."""

    def __init__(
        self, fleet: Fleet, charts: str, oci: str, git: str, kubeconfig: Path, scratch: Path, bucket: str = ""
    ) -> None:
        self.fleet = fleet
        self.scratch = scratch
        self._kubeconfig = kubeconfig
        settings = scratch / "gitsync.yaml"
        settings.write_text(f"repo: {fleet.path}\npath: clusters/prod\n")
        self._local = {
            "https://charts.bitnami.com/bitnami": f"{charts}/bitnami",
            "oci://registry.example/charts/podinfo": oci,
            "https://github.com/stefanprodan/podinfo": git,
            "s3.example": bucket,
            "/etc/gitsync/gitsync.yaml": str(settings),
            ".cluster/kubeconfig": str(kubeconfig),
            "fd5c342": fleet.head[:7],
            "report.xml": str(scratch / "report.xml"),
            "sandbox.yaml": str(scratch / "sandbox.yaml"),
        }

    def run(self, words: list[str]) -> tuple[bool, str]:
        """Whether a line does its work, and what it says."""
        local = dict(self._local)
        if words[0] != "install":  # nothing is fetched, and an agent in a cluster has no use for our directories
            local["https://git.example/fleet.git"] = self.fleet.path.as_uri()
        arguments = [local.get(word, word) for word in words]
        said = next((text for (command, word), text in ENDLESS.items() if words[0] == command and word in words), "")
        return self._until(arguments, said) if said else self._to_its_end(arguments)

    def _to_its_end(self, arguments: list[str]) -> tuple[bool, str]:
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(said):
            patch.chdir(self.fleet.path)
            for name in set(os.environ) - set(self._environment()):
                patch.delenv(name)
            for name, value in self._environment().items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", io.StringIO("y\n"))
            code = main(arguments)
        logs.forget_secrets()
        return code in {0} | FINE.get(arguments[0], set()), f"[{code}] {said.getvalue()}"

    def _until(self, arguments: list[str], said: str) -> tuple[bool, str]:
        """Run until ``said`` is said, then as somebody who types Ctrl-C."""
        process = subprocess.Popen(
            [GITSYNC, *arguments],
            cwd=self.fleet.path,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        heard = ""
        for line in process.stdout:
            heard += line
            if said in line:
                process.send_signal(signal.SIGINT)
                break
        rest, _ = process.communicate(timeout=PATIENCE)
        fine = said in heard and process.returncode in (0, 130) and "Traceback" not in heard + rest
        return fine, f"[{process.returncode}] {heard}{rest}"

    def _environment(self) -> dict[str, str]:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("GITSYNC_", "KUBE"))}
        return {**ours, "HOME": str(self.scratch), "KUBECONFIG": str(self._kubeconfig), "COLUMNS": "200"}


@contextmanager
def agent(kubeconfig: Path, directory: Path, *flags: str) -> Iterator[None]:
    """An agent at work."""
    process = AgentProcess(kubeconfig, directory / "agent", list(flags))
    try:
        process.start().wait_for("gitsync started")
        yield
    finally:
        process.stop()


def webhooks() -> str:
    """The flag that has Receivers served."""
    return f"--webhook-port={free_ports(1)[0]}"


async def create_namespace(kubeconfig: Path, name: str) -> None:
    async with await Cluster.connect(kubeconfig=kubeconfig) as cluster:
        await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="test")


async def create_keys(kubeconfig: Path) -> None:
    metadata = {"name": "apps-keys", "namespace": "default"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    async with await Cluster.connect(kubeconfig=kubeconfig) as cluster:
        data = {"accesskey": KEYS.access, "secretkey": KEYS.secret}
        await cluster.create({**secret, "stringData": data}, manager="test")


async def create_kustomization(kubeconfig: Path) -> None:
    """``apps``, which names what the agent syncs anyway, and so is ready."""
    spec = {"interval": "1h", "path": "./clusters/prod", "prune": True}
    spec["sourceRef"] = {"kind": "GitRepository", "name": "flux-system"}
    head = {"apiVersion": f"{KUSTOMIZE_GROUP}/v1", "kind": "Kustomization"}
    async with await Cluster.connect(kubeconfig=kubeconfig) as cluster:
        manifest = {**head, "metadata": {"name": "apps", "namespace": "flux-system"}, "spec": spec}
        await cluster.create(manifest, manager="test")


async def create_generator(kubeconfig: Path) -> None:
    """``apps``, of what the agent syncs."""
    source = {"alias": "repo", "kind": "GitRepository", "name": "flux-system"}
    copy = [{"from": "@repo/clusters/**", "to": "@artifact/"}]
    head = {"apiVersion": f"{SOURCE_EXTENSIONS_GROUP}/v1beta1", "kind": "ArtifactGenerator"}
    spec = {"sources": [source], "artifacts": [{"name": "apps", "copy": copy}]}
    async with await Cluster.connect(kubeconfig=kubeconfig) as cluster:
        manifest = {**head, "metadata": {"name": "apps", "namespace": "flux-system"}, "spec": spec}
        await cluster.create(manifest, manager="test")


async def create_notifications(kubeconfig: Path) -> None:
    """The Provider ``slack`` and the Alert ``apps``; the Receiver ``fleet``, and its token in two namespaces."""
    group, metadata = NOTIFICATION_GROUP, {"namespace": "flux-system"}
    token: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "stringData": {"token": "a token"}}
    head = {"apiVersion": f"{group}/v1beta3"}
    to_slack, apps = {"providerRef": {"name": "slack"}}, {"kind": "HelmRelease", "name": "*"}
    synced = {"kind": "GitRepository", "name": "flux-system"}
    hook = {"type": "github", "secretRef": {"name": "webhook-token"}, "resources": [synced]}
    made: list[dict[str, Any]] = [
        {**head, "kind": "Provider", "metadata": {"name": "slack", **metadata}, "spec": {"type": "slack"}},
        {
            **head,
            "kind": "Alert",
            "metadata": {"name": "apps", **metadata},
            "spec": {**to_slack, "eventSources": [apps]},
        },
        {**token, "metadata": {"name": "webhook-token", **metadata}},
        {**token, "metadata": {"name": "webhook-token", "namespace": "default"}},
        {"apiVersion": f"{group}/v1", "kind": "Receiver", "metadata": {"name": "fleet", **metadata}, "spec": hook},
    ]
    async with await Cluster.connect(kubeconfig=kubeconfig) as cluster:
        for manifest in made:
            await cluster.create(manifest, manager="test")


def failures(world: World, lines: dict[str, list[str]]) -> str:
    told = []
    for place, words in lines.items():
        fine, said = world.run(words)
        if not fine:
            told.append(f"{place}\n{said}")
    return "\n\n".join(told)


#: Read once: the names of tests are made of them.
SHOWN = shown()


def chosen(*commands: str) -> dict[str, list[str]]:
    return {place: words for place, words in SHOWN.items() if words[0] in commands}


def test_the_lines_about_what_is_synced(
    background: Background, fleet: Fleet, charts: str, oci: str, podinfo: str, bucket: str, tmp_path: Path
) -> None:
    lines = {place: words for place, words in SHOWN.items() if words[0] not in (*APART, AGENT)}
    assert len(lines) > 30
    with sandbox(background, tmp_path) as kubeconfig:
        world = World(fleet, charts, oci, podinfo, kubeconfig, tmp_path, bucket)
        for commit in ("v1.2.0", "HEAD~1", "HEAD"):  # three revisions, to have one to go back to
            once = ["run", "--once", "--repo", str(fleet.path), "--path", "clusters/prod"]
            fine, said = world.run([*once, "--commit", git(fleet.path, "rev-parse", commit)])
            assert fine, said
        with agent(kubeconfig, tmp_path, f"--repo={fleet.path}", "--path=clusters/prod", webhooks()):
            background.run(create_namespace(kubeconfig, "flux-system"))
            background.run(create_kustomization(kubeconfig))
            background.run(create_generator(kubeconfig))
            background.run(create_notifications(kubeconfig))
            for kind, url in (("oci", oci), ("git", podinfo)):
                fine, said = world.run(["create", "source", kind, "podinfo", "--url", url, "--tag-semver", "6.x"])
                assert fine, said
            keys = ["--access-key", KEYS.access, "--secret-key", KEYS.secret]
            made = ["create", "source", "bucket", "apps", "--bucket-name", "apps", "--endpoint", "s3.example", *keys]
            fine, said = world.run(made)
            assert fine, said
            assert KEYS.secret not in said
            made = ["create", "source", "chart", "podinfo", "--source", "HelmRepository/bitnami", "--chart", "redis"]
            fine, said = world.run(made)
            assert fine, said
            assert failures(world, lines) == ""


def test_the_lines_that_change_what_there_is(
    background: Background, fleet: Fleet, charts: str, oci: str, podinfo: str, bucket: str, tmp_path: Path
) -> None:
    with sandbox(background, tmp_path) as kubeconfig:
        world = World(fleet, charts, oci, podinfo, kubeconfig, tmp_path, bucket)
        background.run(create_keys(kubeconfig))
        with agent(kubeconfig, tmp_path, webhooks()):
            for words in (
                ["create", "source", "helm", "podinfo", "--url", f"{charts}/podinfo"],
                ["create", "source", "helm", "bitnami", "--url", f"{charts}/bitnami"],
                ["create", "helmrelease", "redis", "--source", "HelmRepository/bitnami", "--chart", "redis"],
            ):
                fine, said = world.run(words)
                assert fine, said
            background.run(create_namespace(kubeconfig, "flux-system"))
            background.run(create_kustomization(kubeconfig))
            background.run(create_generator(kubeconfig))
            background.run(create_notifications(kubeconfig))
            assert failures(world, chosen("create")) == ""
            assert failures(world, chosen("delete")) == ""
        background.run(create_namespace(kubeconfig, "team-a"))
        for command in ("install", "check", "logs", "uninstall"):
            lines = chosen(command)
            assert lines
            assert failures(world, lines) == ""


@pytest.mark.parametrize("place", chosen(AGENT), ids=str)
def test_a_line_that_brings_its_own_agent(
    place: str, background: Background, fleet: Fleet, charts: str, oci: str, podinfo: str, tmp_path: Path
) -> None:
    with sandbox(background, tmp_path) as kubeconfig:
        assert failures(World(fleet, charts, oci, podinfo, kubeconfig, tmp_path), {place: SHOWN[place]}) == ""
