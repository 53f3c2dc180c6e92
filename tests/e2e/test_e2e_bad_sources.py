"""Servers of sources that do what no sound one does: each time a condition and a log line name the source and the
cause, what runs keeps running, and no credential is told."""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gitsync.charts.source import archive_from_files
from tests.charts.certificates import Authority
from tests.charts.servers import Server, serving
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.registries import by_reference, until_ready
from tests.e2e.watching import Watch, is_ready
from tests.until import ask_until

USER, PASSWORD = "puller", "pass-word-of-the-registry"
LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CHART = archive_from_files(
    {
        "Chart.yaml": b"apiVersion: v2\nname: app\nversion: 1.0.0\n",
        "templates/text.yaml": config_map('"{{ .Release.Namespace }}"', "app-text").encode(),
    }
)


def archive(*members: tuple[str, bytes, bytes], link: str = "") -> bytes:
    """Members by name, kind and content."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), link
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), compresslevel=1)


def chart_with(*members: tuple[str, bytes, bytes], link: str = "") -> bytes:
    chart = ("app/Chart.yaml", tarfile.REGTYPE, b"apiVersion: v2\nname: app\nversion: 1.0.0\n")
    return archive(chart, *members, link=link)


@functools.cache
def layers() -> dict[str, bytes]:
    """Layers that are what their digests say, and hold what they must not: not made for whoever only imports this."""
    zeros = bytes(4 << 20)
    return {
        "good": CHART,
        "elsewhere": CHART,
        "wrong-digest": CHART,
        "truncated": CHART[:-20],
        "above": chart_with(("app/../../x", tarfile.REGTYPE, b"x")),
        "absolute": chart_with(("app//etc/x", tarfile.REGTYPE, b"x")),
        "bomb": chart_with(*((f"app/files/{number}", tarfile.REGTYPE, zeros) for number in range(30))),
        "many": chart_with(*((f"app/files/{number}", tarfile.REGTYPE, b"") for number in range(200_000))),
        "linked": chart_with(("app/templates/x.yaml", tarfile.SYMTYPE, b""), link="/etc/passwd"),
        "hard-linked": chart_with(("app/templates/x.yaml", tarfile.LNKTYPE, b""), link="app/Chart.yaml"),
        "chart-device": chart_with(("app/templates/x.yaml", tarfile.CHRTYPE, b"")),
        "chart-pipe": chart_with(("app/templates/x.yaml", tarfile.FIFOTYPE, b"")),
        "rooted": chart_with(("/templates/x.yaml", tarfile.REGTYPE, b"x")),
        "crowd": gzip.compress(tarfile.TarInfo("x").tobuf() * 200_000, 1),
        "symbolic": archive(("a.yaml", tarfile.REGTYPE, b"a: b"), ("b.yaml", tarfile.SYMTYPE, b""), link="a.yaml"),
        "device": archive(("null", tarfile.CHRTYPE, b"")),
        "hard": archive(("a.yaml", tarfile.REGTYPE, b"a: b"), ("../b.yaml", tarfile.LNKTYPE, b""), link="/etc/passwd"),
    }


@dataclass
class Hostile:
    """Registry, chart repository, Git server and S3 server in one: what it does depends on the name that is asked
    for. ``credentials`` has what the one beside it was shown."""

    other: str = ""
    credentials: list[str] = field(default_factory=list)
    tokens: int = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/v2/").strip("/").partition("/")[0]
        if name in layers():
            return self._registry(name, request)
        how = getattr(self, f"_{name.replace('-', '_')}", None)
        found: web.StreamResponse = await how(request) if how is not None else web.Response(status=404)
        return found

    async def beside(self, request: web.Request) -> web.StreamResponse:
        self.credentials += request.headers.getall("Authorization", [])
        return web.Response(body=layers()["elsewhere"])

    def _registry(self, name: str, request: web.Request) -> web.StreamResponse:
        if "Authorization" not in request.headers:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="it"'})
        layer = layers()[name]
        digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
        if "/manifests/" in request.path:
            described = {"mediaType": LAYER, "digest": digest, "size": len(layer)}
            body = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [described]}).encode()
            headers = {"Docker-Content-Digest": f"sha256:{hashlib.sha256(body).hexdigest()}"}
            return web.Response(body=body, content_type=MANIFEST, headers=headers)
        if name == "elsewhere":
            return web.Response(status=307, headers={"Location": f"{self.other}/blob?signed=yes"})
        return web.Response(body=layer if name != "wrong-digest" else bytes(len(layer)))

    async def _token(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"token": f"token-{self.tokens}", "expires_in": 300})

    async def _expiring(self, request: web.Request) -> web.StreamResponse:
        """A token is good for one request, whatever was said of it."""
        if request.headers.get("Authorization") != f"Bearer token-{self.tokens}":
            ask = f'Bearer realm="http://{request.host}/token",service="it",scope="repository:expiring:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": ask})
        self.tokens += 1
        return self._registry("good", request)

    async def _loop(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": request.path_qs})

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(status=405)
        response = web.StreamResponse(headers={"Content-Type": MANIFEST})
        await response.prepare(request)
        while _is_open(request):
            await response.write(b" ")
            await asyncio.sleep(0.1)  # slowness is the fault
        return response

    async def _no_http(self, request: web.Request) -> web.StreamResponse:
        """The rest of an answer to HEAD is taken for the next answer."""
        response = web.StreamResponse(headers={"Content-Type": MANIFEST, "Content-Length": "9"})
        await response.prepare(request)
        assert request.transport is not None
        request.transport.write(b"no answer\r\n\r\n")
        return response

    async def _html(self, _: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>\n<body>Please log in</body>\n</html>\n", content_type="text/html")

    async def _line(self, _: web.Request) -> web.StreamResponse:
        """Git takes it for a repository in which nothing is."""
        return web.Response(text="<html>Please log in</html>", content_type="text/html")

    async def _pages(self, request: web.Request) -> web.StreamResponse:
        last = int(request.query.get("last", "0")) + 1
        link = f'</v2/pages/tags/list?n=1&last={last}>; rel="next"'
        return web.json_response({"tags": [f"1.0.{last}"]}, headers={"Link": link})

    async def _odd(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=401, headers={"WWW-Authenticate": 'Negotiate, Digest realm="x", nonce="y"'})

    async def _lying_index(self, request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("index.yaml"):
            return web.Response(body=CHART)
        entry = {"apiVersion": "v2", "name": "app", "version": "1.0.0", "urls": ["app.tgz"], "digest": "0" * 64}
        return web.Response(text=json.dumps({"apiVersion": "v1", "entries": {"app": [entry]}}))

    async def _endless_bucket(self, _: web.Request) -> web.StreamResponse:
        return web.Response(
            text="<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
            '<Contents><Key>a.yaml</Key><Size>1</Size><ETag>"e"</ETag></Contents></ListBucketResult>',
            content_type="application/xml",
        )


def _is_open(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()


@dataclass
class World:
    """``expired`` and ``foreign`` are hosts with such a certificate, where ``ca`` is the authority that is given."""

    hostile: Hostile
    host: str
    expired: str
    foreign: str
    ca: str


@pytest.fixture
def world(background: Background, tmp_path: Path) -> Iterator[World]:
    layers()
    hostile, known = Hostile(), Authority()
    expired = known.server_context(tmp_path, expired=True)
    foreign = Authority().server_context(tmp_path)
    servers = [serving(hostile.handle, tls) for tls in (None, expired, foreign)] + [serving(hostile.beside)]
    hosts = [_entered(background, server).url for server in servers]
    hostile.other = hosts.pop()
    host, of_expired, of_foreign = (url.partition("://")[2] for url in hosts)
    yield World(hostile, host, of_expired, of_foreign, known.pem)
    for server in servers:
        background.run(server.__aexit__(None, None, None))


def _entered(background: Background, server: Any) -> Server:
    found: Server = background.run(server.__aenter__())
    return found


def source(namespace: str, kind: str, name: str, **spec: Any) -> str:
    login = {"secretRef": {"name": "login"}, "timeout": "3s"}
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"interval": "1h", **login, **spec},
        }
    )


def artifact(namespace: str, host: str, name: str, **spec: Any) -> str:
    spec = {"url": f"oci://{host}/{name}", "insecure": True, "ref": {"tag": "1.0.0"}, **spec}
    return source(namespace, "OCIRepository", name, **spec)


def built_from(namespace: str, name: str) -> str:
    reference = {"kind": "OCIRepository", "name": name}
    return json.dumps(
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"interval": "1h", "prune": True, "path": "./", "sourceRef": reference},
        }
    )


#: What each source says of itself, by the field of its log line that has its name.
SOURCES = {
    "wrong-digest": "is not what its digest says",
    "loop": "redirects more than 10 times",
    "slow": "within 3 s",
    "no-http": "it does not answer as HTTP has it",
    "html": "no manifest",
    "pages": "its list of tags has no end",
    "odd": "asks for what is not supported",
    "html-index": "the index of http://localhost",
    "loop-index": "redirects more than 10 times",
    "html-git": "answers with a page (text/html) and not as a git repository",
    "line-git": "answers with a page (text/html) and not as a git repository",
    "loop-git": "redirect",
    "endless-bucket": "its list of objects has no end",
    "expired-oci": "certificate has expired",
    "expired-index": "certificate has expired",
    "expired-git": "its certificate has expired",
    "expired-bucket": "certificate has expired",
    "foreign-oci": "certificate signature failure",
    "foreign-index": "certificate signature failure",
    "foreign-git": "its certificate is by an authority that is not known here",
    "foreign-bucket": "certificate signature failure",
}
#: What those say that use artifacts which hold what they must not.
RELEASES = {
    "truncated": "cannot be read",
    "above": "outside",
    "absolute": "outside",
    "bomb": "larger than 100 MiB unpacked",
    "many": "more than 20,000 files and directories",
    "linked": "has a symbolic link at 'app/templates/x.yaml'",
    "hard-linked": "has a hard link at 'app/templates/x.yaml'",
    "chart-device": "has a device at 'app/templates/x.yaml'",
    "chart-pipe": "has a named pipe at 'app/templates/x.yaml'",
    "rooted": "outside the chart's directory: '/templates/x.yaml'",
    "lying": "is not what its index says",
}
KUSTOMIZATIONS = {
    "device": "a device at 'null'",
    "hard": "leads out of it",
    "crowd": "more than 20,000 files and directories",
}


def behind_tls(namespace: str, how: str, host: str) -> dict[str, str]:
    """A source of each kind."""
    certs, keys = {"certSecretRef": {"name": "ca"}}, {"secretRef": {"name": "keys"}}
    bucket = {"endpoint": host, "bucketName": "apps", **certs, **keys}
    specs: dict[str, tuple[str, dict[str, Any]]] = {
        "oci": ("OCIRepository", {"url": f"oci://{host}/good", **certs}),
        "index": ("HelmRepository", {"url": f"https://{host}/index", **certs}),
        "git": ("GitRepository", {"url": f"https://{host}/git", "secretRef": {"name": "git"}}),
        "bucket": ("Bucket", bucket),
    }
    return {f"{how}-{name}": source(namespace, kind, f"{how}-{name}", **spec) for name, (kind, spec) in specs.items()}


def manifests(namespace: str, world: World) -> dict[str, str]:
    """All of them by the names of files."""
    host = world.host
    names = (*layers(), "loop", "slow", "no-http", "html", "odd", "expiring")
    found = {name: artifact(namespace, host, name) for name in names}
    found |= behind_tls(namespace, "expired", world.expired) | behind_tls(namespace, "foreign", world.foreign)
    found["pages"] = artifact(namespace, host, "pages", ref={"semver": "1.x"})
    for name in ("html", "loop"):
        url = f"http://{host}/{name}"
        found[f"{name}-index"] = source(namespace, "HelmRepository", f"{name}-index", url=url)
        found[f"{name}-git"] = source(namespace, "GitRepository", f"{name}-git", url=url)
    found["line-git"] = source(namespace, "GitRepository", "line-git", url=f"http://{host}/line")
    found["lying-index"] = source(namespace, "HelmRepository", "lying-index", url=f"http://{host}/lying-index")
    found["bucket"] = source(
        namespace,
        "Bucket",
        "endless-bucket",
        endpoint=host,
        bucketName="endless-bucket",
        insecure=True,
        secretRef={"name": "keys"},
    )
    for name in RELEASES:
        found[f"{name}-release"] = by_reference(namespace, name, name)
    by_index = json.loads(by_reference(namespace, "lying"))
    del by_index["spec"]["chartRef"]
    reference = {"kind": "HelmRepository", "name": "lying-index"}
    by_index["spec"]["chart"] = {"spec": {"chart": "app", "version": "1.0.0", "sourceRef": reference}}
    found["lying-release"] = json.dumps(by_index)
    for name in (*KUSTOMIZATIONS, "symbolic"):
        found[f"{name}-kustomization"] = built_from(namespace, name)
    return {f"{name}.yaml": text for name, text in found.items()}


def secrets(namespace: str, ca: str) -> str:
    def secret(name: str, data: dict[str, str]) -> str:
        metadata = {"name": name, "namespace": namespace}
        return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data})

    login = {"username": USER, "password": PASSWORD}
    data = {"login": login, "keys": {"accesskey": USER, "secretkey": PASSWORD}, "ca": {"ca.crt": ca}}
    data["git"] = {**login, "ca.crt": ca}
    return "\n---\n".join(secret(*item) for item in data.items())


def test_each_says_what_is_wrong_where_and_what_runs_keeps_running(
    new_agent: NewAgent, fleet: Fleet, world: World, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    good = {"good.yaml": artifact(namespace, world.host, "good"), "app.yaml": by_reference(namespace, "app", "good")}
    fleet.commit({"secrets.yaml": secrets(namespace, world.ca), **good}, "an app")
    agent = new_agent(fleet).start()
    until_ready(releases, f"{namespace}/app")

    count = agent.count
    fleet.commit(manifests(namespace, world), "what no sound server does")
    kinds = "ocirepositories,helmrepositories,gitrepositories,buckets,helmreleases"
    kinds += ",kustomizations.kustomize.toolkit.fluxcd.io"

    def ready() -> dict[tuple[str, str], dict[str, Any]]:
        items = json.loads(kubectl("get", kinds, "-n", namespace, "-o", "json"))["items"]
        found = {}
        for item in items:
            conditions = (item.get("status") or {}).get("conditions") or ()
            condition: dict[str, Any] = next((it for it in conditions if it["type"] == "Ready"), {})
            found[item["kind"], item["metadata"]["name"]] = condition
        return found

    wanted = {name: words for table in (SOURCES, RELEASES, KUSTOMIZATIONS) for name, words in table.items()}

    def said(found: dict[tuple[str, str], dict[str, Any]]) -> list[str]:
        """Those of which no condition says it yet."""
        failed = [(name, it.get("message", "")) for (_, name), it in found.items() if it.get("status") == "False"]
        return [name for name, words in wanted.items() if not any(it == name and words in text for it, text in failed)]

    conditions = ask_until(ready, lambda found: not said(found), f"conditions: {said(ready())}", timeout=150)
    for name, words in wanted.items():
        assert _has_line(agent, count, f"{namespace}/{name}", words), f"no log line names {name} and {words!r}"

    agent.wait_for("symbolic links of an artifact are passed over", artifact=f"oci://{world.host}/symbolic")
    # Where a server leads to another one, that is shown no login, and what it has is used.
    assert conditions["OCIRepository", "elsewhere"]["status"] == "True"
    assert world.hostile.credentials == []
    # A token that ends between two requests of a pull is asked for once more.
    assert conditions["OCIRepository", "expiring"]["status"] == "True"
    assert world.hostile.tokens >= 3
    assert is_ready(releases.get(f"{namespace}/app"))
    assert helm.history(helm_cli, namespace, "app") == [(1, "deployed")]
    assert agent.is_running
    told = kubectl("get", f"{kinds},events", "-n", namespace, "-o", "json") + agent.log
    assert PASSWORD not in told
    assert agent.stop() == 0


def _has_line(agent: AgentProcess, after: int, name: str, words: str) -> bool:
    for line in agent.lines[after:]:
        names = [str(line.fields.get(it, "")) for it in ("repository", "release", "kustomization", "sync", "object")]
        if any(it == name or it.endswith(f"/{name}") for it in names) and words in json.dumps(dict(line.fields)):
            return True
    return False
