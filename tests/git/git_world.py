"""Git servers and repositories for tests: real ones, made by the real git."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ipaddress
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

IDENTITY = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@git.example",
    "GIT_COMMITTER_NAME": "Grace",
    "GIT_COMMITTER_EMAIL": "grace@git.example",
    "GIT_COMMITTER_DATE": "1700000000 +0000",
    "GIT_AUTHOR_DATE": "1600000000 +0000",
}


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | IDENTITY


@dataclass(frozen=True)
class Repository:
    """A repository with a working tree, as a developer has it."""

    path: Path

    @classmethod
    def make(cls, path: Path, *options: str) -> Repository:
        path.mkdir(parents=True)
        repository = cls(path)
        repository.git("init", "--quiet", "--template=", "--initial-branch=main", *options)
        return repository

    def git(self, *args: str, stdin: bytes = b"") -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.path, env=clean_environment(), input=stdin, check=True, capture_output=True
        )
        return done.stdout.decode().strip()

    def commit(self, files: Mapping[str, str | bytes | None], subject: str = "a change") -> str:
        """Write (None: delete) the files, commit, and give the commit's id."""
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    @property
    def git_dir(self) -> Path:
        return self.path / ".git"


@dataclass
class HttpGit:
    """Smart HTTP: git's own http-backend behind aiohttp. What it does can be changed while it serves."""

    root: Path
    url: str = ""
    #: The Authorization headers that are let in; None: no authentication.
    accepted: set[str] | None = None
    challenge: str = 'Basic realm="git"'
    protocol_v2: bool = True
    #: Answer everything with this status.
    status: int = 0
    #: Send whoever is let in to the same path below this URL.
    redirect: str = ""
    #: Hold every answer back until this is set, or those below a path.
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    held: str = "/"
    seen: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization", "")
        self.seen.append((request.method, request.path_qs, authorization))
        if request.path.startswith(self.held):
            await self.gate.wait()
        if self.status:
            return web.Response(status=self.status, text="remote: told to\n")
        if self.accepted is not None and authorization not in self.accepted:
            return web.Response(status=401, headers={"WWW-Authenticate": self.challenge})
        if self.redirect:
            raise web.HTTPFound(self.redirect + request.path_qs)
        return await self._backend(request)

    async def _backend(self, request: web.Request) -> web.Response:
        # The body is as git wants it: aiohttp has unpacked it where it was gzipped.
        environment = clean_environment() | {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        }
        if self.protocol_v2:
            environment["GIT_PROTOCOL"] = request.headers.get("Git-Protocol", "")
        # In a thread: a process of the loop's would be left with its pipes when this is cancelled, at the server's end.
        command, given = ["git", "http-backend"], await request.read()
        done = await asyncio.to_thread(subprocess.run, command, input=given, env=environment, stdout=subprocess.PIPE)
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200 OK").split()[0])
        return web.Response(status=status, body=body, headers=headers)


def authority(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A server context with a certificate of its own making, and the file that vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "git.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    file = directory / "ca with blank.crt"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    whole = directory / "server.pem"
    whole.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + file.read_bytes()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(whole)
    return context, file


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@asynccontextmanager
async def http_git(root: Path, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpGit]:
    """Serve the repositories below ``root`` on a loopback port."""
    server = HttpGit(root)
    application = web.Application(client_max_size=64 << 20)
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        server.gate.set()
        await runner.cleanup()


@asynccontextmanager
async def silent_port() -> AsyncIterator[int]:
    """A port that accepts connections and never answers."""
    held = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in held:
            writer.close()
        server.close()
        await server.wait_closed()


def command_lines() -> str:
    """What ``ps`` would show of every process on this machine right now."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue  # it ended while we looked
    return "\n".join(lines)
