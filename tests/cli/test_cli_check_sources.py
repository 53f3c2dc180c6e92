"""``gitsync check`` tries the servers of sources: a registry, an S3 server, git over http and ssh, a chart server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gitsync.charts.serve import ChartServer
from gitsync.charts.source import archive_from_files
from gitsync.cluster import Cluster
from gitsync.install import reach
from gitsync.install.checks import Finding
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.controlplane.registry import PASSWORD, USER, Registry
from tests.controlplane.s3 import KEYS, REGION, S3
from tests.forked import run
from tests.git.git_world import HttpGit, Repository, basic, http_git
from tests.git.ssh_world import client_path, ssh_git
from tests.sources.world import chart

CHARTS_PASSWORD = "not-for-everybody"


class World:
    """Sources of a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace

    async def secret(self, name: str, **data: str) -> dict[str, str]:
        metadata = {"name": name, "namespace": self.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
        await self.cluster.apply(secret, manager="test")
        return {"name": name}

    async def apply(self, kind: str, name: str, **spec: Any) -> None:
        manifest = {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {"interval": "1h", **spec},
        }
        await self.cluster.apply(manifest, manager="test")

    async def found(self) -> dict[str, Finding]:
        """By kind and name."""
        found = [finding async for finding in reach.sources(self.cluster, self.namespace)]
        return {finding.what.replace(f"/{self.namespace}/", "/"): finding for finding in found}


@pytest.fixture
async def world(control_plane: ControlPlane, namespace: str) -> AsyncIterator[World]:
    async with serving_namespace(control_plane, namespace) as cluster:
        yield World(cluster, namespace)


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    origin = Repository.make(tmp_path / "served" / "fleet")
    origin.commit({"a.yaml": "a: 1\n"})
    return origin


@pytest.fixture
async def git(origin: Repository) -> AsyncIterator[HttpGit]:
    async with http_git(origin.path.parent) as server:
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_what_can_be_reached_says_what_it_has_and_nothing_is_fetched(
    world: World,
    origin: Repository,
    git: HttpGit,
    registry: Registry,
    s3: S3,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", client_path(tmp_path / "bin"))
    head = origin.git("rev-parse", "HEAD").strip()
    archive = tmp_path / "app-1.0.0.tgz"
    archive.write_bytes(archive_from_files({"Chart.yaml": chart("app").encode()}))
    digest = await asyncio.to_thread(registry.push, archive, world.namespace)
    s3.make(world.namespace)
    s3.put(world.namespace, "a.yaml", "a")
    login = await world.secret("registry", username=USER, password=PASSWORD)
    certs = await world.secret("registry-ca", **{"ca.crt": registry.ca})
    keys = await world.secret("keys", accesskey=KEYS.access, secretkey=KEYS.secret)
    s3_ca = await world.secret("s3-ca", **{"ca.crt": s3.ca})
    charts_login = await world.secret("charts", username="me", password=CHARTS_PASSWORD)
    (tmp_path / "ssh").mkdir()
    async with AsyncExitStack() as stack:
        charts = ChartServer({"apps": [archive.read_bytes()]}, username="me", password=CHARTS_PASSWORD)
        await stack.enter_async_context(charts)
        ssh = await stack.enter_async_context(ssh_git(tmp_path / "ssh"))
        identity, known = ssh.key_file.read_text(), ssh.known_hosts_file.read_text()
        ssh_key = await world.secret("key", identity=identity, known_hosts=known)
        in_registry = {"secretRef": login, "certSecretRef": certs}
        await world.apply("HelmRepository", "index", url=f"{charts.url}/apps", secretRef=charts_login)
        await world.apply("HelmRepository", "oci", type="oci", url=registry.url(world.namespace), **in_registry)
        artifact = {"url": registry.url(f"{world.namespace}/app"), **in_registry}
        await world.apply("OCIRepository", "tag", ref={"tag": "1.0.0"}, **artifact)
        await world.apply("OCIRepository", "digest", ref={"digest": digest}, **artifact)
        place = {"bucketName": world.namespace, "endpoint": s3.host, "region": REGION}
        await world.apply("Bucket", "apps", **place, secretRef=keys, certSecretRef=s3_ca)
        await world.apply("GitRepository", "http", url=f"{git.url}/fleet", ref={"branch": "main"})
        await world.apply("GitRepository", "commit", url=f"{git.url}/fleet", ref={"commit": head})
        await world.apply("GitRepository", "ssh", url=ssh.url(origin.path), ref={"branch": "main"}, secretRef=ssh_key)
        await world.apply("GitRepository", "resting", url="https://nowhere.invalid/x", suspend=True)
        found = await world.found()
        assert not any(path.endswith(".tgz") for path in charts.requests)
    assert {finding.result for finding in found.values()} == {"ok"}, found
    said = {what: finding.text.replace("reachable: ", "") for what, finding in found.items()}
    app = registry.url(f"{world.namespace}/app")
    assert said == {
        "Bucket/apps": f"https://{s3.host}/{world.namespace} has 1 object",
        "GitRepository/commit": f"{git.url}/fleet; whether it has sha1:{head} was not tried",
        "GitRepository/http": f"{git.url}/fleet has main@sha1:{head}",
        "GitRepository/resting": "suspended, not tried",
        "GitRepository/ssh": f"{ssh.url(origin.path)} has main@sha1:{head}",
        "HelmRepository/index": f"{charts.url}/apps",
        "HelmRepository/oci": registry.url(world.namespace),
        "OCIRepository/digest": f"{app} has {digest}",
        "OCIRepository/tag": f"{app} has 1.0.0@{digest}",
    }
    assert not any("git-upload-pack" in path and method == "POST" and "fetch" in path for method, path, _ in git.seen)


async def test_what_cannot_be_reached_says_why_without_any_credential(
    world: World, git: HttpGit, registry: Registry, s3: S3, monkeypatch: pytest.MonkeyPatch, control_plane: ControlPlane
) -> None:
    wrong = "the-wrong-pass-word"
    git.accepted = {basic("me", PASSWORD)}
    login = await world.secret("login", username="me", password=wrong)
    certs = await world.secret("registry-ca", **{"ca.crt": registry.ca})
    keys = await world.secret("keys", accesskey=KEYS.access, secretkey=wrong)
    s3_ca = await world.secret("s3-ca", **{"ca.crt": s3.ca})
    s3.make(world.namespace)
    port = free_port()
    in_registry = {"secretRef": login, "certSecretRef": certs}
    await world.apply("HelmRepository", "away", url=f"http://me:{wrong}@127.0.0.1:{port}/apps")
    await world.apply("HelmRepository", "oci", type="oci", url=registry.url("charts"), **in_registry)
    await world.apply("OCIRepository", "refused", url=registry.url("charts/app"), **in_registry)
    await world.apply("OCIRepository", "foreign", url=registry.url("charts/app"), secretRef=login)
    place = {"bucketName": world.namespace, "endpoint": s3.host, "region": REGION}
    await world.apply("Bucket", "refused", **place, secretRef=keys, certSecretRef=s3_ca)
    await world.apply("Bucket", "sts", **place, sts={"provider": "ldap", "endpoint": "https://x.example"})
    await world.apply("GitRepository", "refused", url=f"{git.url}/fleet", secretRef=login)
    await world.apply("GitRepository", "lacking", url=f"{git.url}/fleet", secretRef={"name": "nosuch"})
    found = await world.found()
    async with http_git(git.root) as silent:
        silent.gate.clear()
        monkeypatch.setattr(reach, "PATIENCE", 1.0)  # the others may take longer
        await world.apply("GitRepository", "silent", url=f"{silent.url}/fleet")
        found["GitRepository/silent"] = (await world.found())["GitRepository/silent"]
        silent.gate.set()
    assert {finding.result for finding in found.values()} == {"warning"}, found
    for what, words in {
        "HelmRepository/away": "Connect call failed",
        "HelmRepository/oci": "401",
        "OCIRepository/refused": "401",
        "OCIRepository/foreign": "TLS failed",
        "Bucket/refused": "403",
        "Bucket/sts": "spec.sts",
        "GitRepository/refused": "refuses our credentials",
        "GitRepository/lacking": "nosuch",
        "GitRepository/silent": "within 1 s",
    }.items():
        assert words in found[what].text, found[what]
    # The command says the same, and that an agent can run without them.
    flags = ("--kubeconfig", str(control_plane.kubeconfig), "--watch-namespace", world.namespace)
    code, said, errors = await asyncio.to_thread(run, ["check", *flags, "-o", "json"], {})
    tried = [item["what"] for item in json.loads(said) if item["what"].endswith(f"/{world.namespace}/refused")]
    assert len(tried) == 3, errors
    for text in (str(found), said, errors):
        assert wrong not in text
        assert KEYS.secret not in text
    assert code in (0, 1)
    code, said, errors = await asyncio.to_thread(run, ["check", "--no-sources", *flags, "-o", "json"], {})
    assert not [item for item in json.loads(said) if item["what"].startswith("OCIRepository/")], errors


async def test_no_more_are_tried_than_the_bounds_allow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "MOST", 2)
    monkeypatch.setattr(reach, "ALL_PATIENCE", 0.0)
    for name in ("a", "b", "c"):
        await world.apply("GitRepository", name, url="https://nowhere.invalid/x")
    found = await world.found()
    assert {what: finding.text for what, finding in found.items()} == {
        "GitRepository/a": "not tried within 0 s",
        "GitRepository/b": "not tried within 0 s",
        "sources": "1 more source not tried: 2 are, at most",
    }
