"""Where the cluster is, who we are, and how credentials that end are renewed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster, connection
from gitsync.cluster.access.credentials import InCluster, choose_source
from gitsync.errors import ClusterUnavailable, SettingsError, Unauthorized
from tests.clock import Clock
from tests.cluster.conftest import SHORT
from tests.cluster.faulty import (
    CONFIGMAPS,
    Answer,
    FaultyApi,
    a_list,
    configmap,
    failure,
    running_api,
    stream,
    write_kubeconfig,
)
from tests.controlplane.certificates import write_certificates
from tests.lag import stays_below
from tests.until import until

KEY = ObjectKey("", "ConfigMap", "default", "a")
PATH = f"{CONFIGMAPS}/a"


def only_for(*tokens: str) -> Answer:
    """Answers whoever has one of these tokens, and 401 to all others."""
    accepted = {f"Bearer {token}" for token in tokens}

    async def give(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in accepted:
            return await failure(401, "Unauthorized", "Unauthorized")(request)
        return web.json_response(configmap(request.path.rpartition("/")[2], 7))

    return give


def tokens_seen(api: FaultyApi) -> list[str]:
    return [seen.headers["Authorization"].removeprefix("Bearer ") for seen in api.requests("GET", PATH)]


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A credential plugin that prints what the file ``credential`` holds and counts its runs in ``runs``."""

    def user(*body: str, **section: Any) -> dict[str, Any]:
        script = tmp_path / "plugin"
        lines = body or (
            f"open({str(tmp_path / 'runs')!r}, 'a').write('x')",
            f"print(open({str(tmp_path / 'credential')!r}).read())",
        )
        script.write_text("\n".join((f"#!{sys.executable} -I", *lines)))
        script.chmod(stat.S_IRWXU)
        return {"exec": {"apiVersion": API_VERSION, "command": str(script), "interactiveMode": "Never", **section}}

    return user


API_VERSION = "client.authentication.k8s.io/v1"


def give_credential(directory: Path, token: str, lives: float | None = None) -> None:
    status: dict[str, Any] = {"token": token}
    if lives is not None:
        status["expirationTimestamp"] = (datetime.now(UTC) + timedelta(seconds=lives)).isoformat()
    credential = {"apiVersion": API_VERSION, "kind": "ExecCredential", "status": status}
    (directory / "credential").write_text(json.dumps(credential))


async def test_a_401_runs_the_plugin_once_more_for_all_requests_that_met_it(
    api: FaultyApi, tmp_path: Path, plugin: Callable[..., dict[str, Any]]
) -> None:
    give_credential(tmp_path, "first")
    kubeconfig = write_kubeconfig(tmp_path, api.url, plugin())
    api.on("GET", PATH, only_for("second"))
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=SHORT) as cluster:
        give_credential(tmp_path, "second")
        await asyncio.gather(*(cluster.get(KEY) for _ in range(20)))
    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_credential_is_renewed_before_it_ends(
    api: FaultyApi, tmp_path: Path, plugin: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    give_credential(tmp_path, "short", lives=600)
    kubeconfig = write_kubeconfig(tmp_path, api.url, plugin())
    api.on("GET", PATH, only_for("short", "long"))
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=SHORT) as cluster:
        give_credential(tmp_path, "long", lives=3600)
        await cluster.get(KEY)
        clock.advance(600)
        await cluster.get(KEY)
        await cluster.get(KEY)
    assert tokens_seen(api) == ["short", "long", "long"]
    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_401_that_renewing_does_not_heal_is_raised_after_one_more_try(
    api: FaultyApi, tmp_path: Path, plugin: Callable[..., dict[str, Any]]
) -> None:
    give_credential(tmp_path, "wrong")
    kubeconfig = write_kubeconfig(tmp_path, api.url, plugin())
    api.on("GET", PATH, only_for("right"))
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=SHORT) as cluster:
        with pytest.raises(Unauthorized) as caught:
            await cluster.get(KEY)
    assert tokens_seen(api) == ["wrong", "wrong"]
    assert "wrong" not in f"{caught.value} {caught.value.__dict__}"


@pytest.mark.parametrize(
    ("body", "said", "patience"),
    [
        (("import sys", "sys.exit('no session, log in first: " + "A" * 40 + "')"), "no session, log in first: ...", 60),
        (("print('nonsense')",), "did not answer with", 60),
        (('print(\'{"kind":"ExecCredential","apiVersion":"' + API_VERSION + '","status":{}}\')',), "neither", 60),
        (("import time", "time.sleep(60)"), "gave nothing within", 0.3),
    ],
)
async def test_a_plugin_that_fails_is_said_so_instead_of_going_on_as_nobody(
    tmp_path: Path, plugin: Callable[..., dict[str, Any]], body: tuple[str, ...], said: str, patience: float
) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1", plugin(*body))
    with pytest.raises(SettingsError, match=said) as caught:
        await Cluster.connect(kubeconfig=kubeconfig, timings=replace(SHORT, plugin=patience))
    assert "A" * 40 not in caught.value.message


async def test_a_plugin_that_is_missing_is_named(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": API_VERSION, "command": "/nowhere/login-helper"}}
    with pytest.raises(SettingsError, match="/nowhere/login-helper cannot be run"):
        await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, "http://127.0.0.1:1", user))


async def test_the_loop_runs_on_while_a_plugin_thinks_and_prints_much(
    tmp_path: Path, plugin: Callable[..., dict[str, Any]]
) -> None:
    give_credential(tmp_path, "token")
    user = plugin(
        "import sys, time",
        "sys.stderr.write('e' * 300_000)",  # more than a pipe holds
        "time.sleep(0.3)",  # thinks
        f"print(open({str(tmp_path / 'credential')!r}).read())",
    )
    # With an authority, as every real one has: to read all of the system's takes the loop itself a tenth of a second.
    authority = write_certificates(tmp_path / "pki").ca
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1", user, **{"certificate-authority": str(authority)})

    async def connect() -> None:
        await (await Cluster.connect(kubeconfig=kubeconfig)).close()

    await stays_below(0.15, connect)


async def test_a_plugin_does_not_outlive_who_waited_for_it(
    tmp_path: Path, plugin: Callable[..., dict[str, Any]]
) -> None:
    pid_file = tmp_path / "pid"
    user = plugin(
        "import os, time",
        f"open({str(pid_file)!r} + '.new', 'w').write(str(os.getpid()))",
        f"os.rename({str(pid_file)!r} + '.new', {str(pid_file)!r})",
        "time.sleep(3600)",  # longer than any test
    )
    connecting = asyncio.create_task(Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, "http://127.0.0.1:1", user)))
    await until(pid_file.exists)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


async def test_a_token_file_is_read_again_at_intervals_and_wins_over_a_token(
    api: FaultyApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    (tmp_path / "token").write_text("one\n")
    kubeconfig = write_kubeconfig(tmp_path, api.url, {"token": "static", "tokenFile": "token"})
    api.on("GET", PATH, only_for("one", "two"))
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=replace(SHORT, token=60.0)) as cluster:
        await cluster.get(KEY)
        (tmp_path / "token").write_text("two\n")
        await cluster.get(KEY)
        clock.advance(60)
        await cluster.get(KEY)
    assert tokens_seen(api) == ["one", "one", "two"]


async def test_credentials_that_cannot_be_renewed_are_used_as_long_as_they_are_good(
    api: FaultyApi, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("one")
    kubeconfig = write_kubeconfig(tmp_path, api.url, {"tokenFile": "token"})
    api.on("GET", PATH, only_for("one"), only_for("two"))
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=replace(SHORT, token=0.0)) as cluster:
        await cluster.resource("", "ConfigMap")
        (tmp_path / "token").unlink()
        await cluster.get(KEY)
        with pytest.raises(SettingsError, match="token cannot be read"):
            await cluster.get(KEY)


async def test_another_server_in_the_kubeconfig_is_taken_over_with_new_connections(
    api: FaultyApi, tmp_path: Path
) -> None:
    async with running_api() as moved:
        kubeconfig = write_kubeconfig(tmp_path, api.url)
        api.on("GET", PATH, only_for("other"))
        moved.on("GET", PATH, only_for("letmein"))
        async with await Cluster.connect(kubeconfig=kubeconfig, timings=SHORT) as cluster:
            await cluster.resource("", "ConfigMap")
            write_kubeconfig(tmp_path, moved.url)
            assert (await cluster.get(KEY))["metadata"]["name"] == "a"


async def test_requests_under_way_end_well_when_credentials_are_replaced(api: FaultyApi, tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.json_response(configmap("a", 7))

    api.on("GET", PATH, slow)
    api.on("GET", f"{CONFIGMAPS}/b", only_for("second"))
    kubeconfig = write_kubeconfig(tmp_path, api.url, {"token": "first"})
    timings = replace(SHORT, request=5.0)
    async with running_api() as moved, await Cluster.connect(kubeconfig=kubeconfig, timings=timings) as cluster:
        moved.on("GET", f"{CONFIGMAPS}/b", only_for("second"))
        under_way = asyncio.create_task(cluster.get(KEY))
        await cluster.resource("", "ConfigMap")
        write_kubeconfig(tmp_path, moved.url, {"token": "second"})
        await cluster.get(KEY._replace(name="b"))
        release.set()
        assert (await under_way)["metadata"]["name"] == "a"


async def test_private_keys_do_not_stay_in_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = self_signed()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    encoded = {name: base64.b64encode(data).decode() for name, data in (("certificate", certificate), ("key", key))}
    user = {"client-certificate-data": encoded["certificate"], "client-key-data": encoded["key"]}
    data = {"certificate-authority-data": encoded["certificate"]}
    kubeconfig = write_kubeconfig(tmp_path, "https://127.0.0.1:1", user, **data)
    for _ in range(2):  # the library's table of files must not lead the second one to files that are gone
        async with await Cluster.connect(kubeconfig=kubeconfig):
            assert list(temporary.iterdir()) == []


async def test_no_credential_is_in_a_repr(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1", {"token": "hunter2"})
    source = choose_source(kubeconfig, None, SHORT)
    assert "hunter2" not in repr(await source.load())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not a kubeconfig"),
        ("[]", "is not a kubeconfig"),
        ('{"current-context": "x", "contexts": [], "clusters": [], "users": []}', "x"),
        ('{"current-context": "x", "contexts": [{}], "clusters": 7, "users": []}', "is not a kubeconfig"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(SettingsError, match=said) as caught:
        await Cluster.connect(kubeconfig=path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("server", "user", "more", "said"),
    [
        ("https://127.0.0.1", {"token": "a"}, {"certificate-authority-data": "aHVudGVyMg=="}, "certificate"),
        ("https://127.0.0.1", {"token": "a"}, {"certificate-authority-data": "%"}, "certificate"),
        ("https://127.0.0.1", {"token": "a"}, {"certificate-authority": "/nowhere/ca"}, "/nowhere/ca"),
        ("https://someone:hunter2@127.0.0.1", {"token": "a"}, {}, "password"),
        ("https://127.0.0.1", {"token": "hun\nter2"}, {}, "one line"),
        ("https://127.0.0.1", {"token": "a"}, {"proxy-url": "socks5://hunter2@127.0.0.1"}, "socks5 proxy"),
    ],
)
async def test_settings_that_can_never_work_are_refused_without_quoting_secrets(
    tmp_path: Path, server: str, user: dict[str, Any], more: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        await Cluster.connect(kubeconfig=write_kubeconfig(tmp_path, server, user, **more))
    assert "hunter2" not in caught.value.message


async def test_credentials_that_stay_wrong_do_not_run_the_plugin_for_every_request(
    api: FaultyApi, tmp_path: Path, plugin: Callable[..., dict[str, Any]]
) -> None:
    give_credential(tmp_path, "wrong")
    kubeconfig = write_kubeconfig(tmp_path, api.url, plugin())
    api.on("GET", PATH, only_for("right"))
    async with await Cluster.connect(kubeconfig=kubeconfig, timings=replace(SHORT, renewal=60.0)) as cluster:
        for _ in range(5):
            with pytest.raises(Unauthorized):
                await cluster.get(KEY)
    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_proxy_of_the_environment_is_used_where_it_applies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,.cluster.local")
    proxies = []
    for server in ("https://127.0.0.1:6443", "https://api.cluster.local", "https://api.example"):
        source = choose_source(write_kubeconfig(tmp_path, server), None, SHORT)
        proxies.append((await source.load()).proxy)
    assert proxies == [None, None, "http://proxy.example:3128"]


async def test_a_watch_that_meets_a_401_goes_on_with_renewed_credentials(api: FaultyApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("one")
    kubeconfig = write_kubeconfig(tmp_path, api.url, {"tokenFile": "token"})

    async def give(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response(a_list(version=5))
        if request.headers["Authorization"] != "Bearer two":
            (tmp_path / "token").write_text("two")
            return await failure(401, "Unauthorized")(request)
        return await stream({"type": "ADDED", "object": configmap("a", 6)}, then="hang")(request)

    api.on("GET", CONFIGMAPS, give)
    async with (
        await Cluster.connect(kubeconfig=kubeconfig, timings=SHORT) as cluster,
        cluster.watch("", "ConfigMap", namespace="default") as watch,
    ):
        heard = asyncio.Event()
        watch.subscribe(lambda event: heard.set())
        async with asyncio.timeout(60):
            await heard.wait()
        assert watch.get(KEY) is not None


async def test_a_context_is_chosen_by_name(api: FaultyApi, tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, api.url)
    with pytest.raises(SettingsError, match="staging"):
        await Cluster.connect(kubeconfig=kubeconfig, context="staging")
    async with await Cluster.connect(kubeconfig=kubeconfig, context="test") as cluster:
        assert cluster.helm_access() == {"kubeconfig_path": str(kubeconfig), "kube_context": "test"}


async def test_without_a_file_named_the_environment_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(SettingsError, match="no cluster is configured"):
        await Cluster.connect()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    assert isinstance(choose_source(None, None, SHORT), InCluster)
    (tmp_path / "home/.kube").mkdir(parents=True)
    write_kubeconfig(tmp_path / "home/.kube", "http://127.0.0.1:1").rename(tmp_path / "home/.kube/config")
    async with await Cluster.connect() as cluster:
        assert cluster.helm_access() == {"kubeconfig_path": str(tmp_path / "home/.kube/config")}
    lists = f"{tmp_path}/missing{os.pathsep}{write_kubeconfig(tmp_path, 'http://127.0.0.1:2')}"
    monkeypatch.setenv("KUBECONFIG", lists)
    async with await Cluster.connect(timings=replace(SHORT, total=0.01)) as cluster:
        with pytest.raises(ClusterUnavailable, match=r"127\.0\.0\.1:2"):
            await cluster.resource("", "Pod")


def self_signed() -> tuple[bytes, bytes]:
    """A certificate and its private key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return builder.sign(key, hashes.SHA256()).public_bytes(pem), private


async def test_a_context_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    kubeconfig = write_kubeconfig(tmp_path, "http://127.0.0.1:1")
    with pytest.raises(SettingsError, match=r"it has no context 'prod'; there are: test$"):
        await Cluster.connect(kubeconfig=kubeconfig, context="prod")
