"""Over HTTP, against git's own http-backend: credentials, refusals, and servers that are slow, old, hostile or away."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gitsync.errors import GitAuthRefused, GitRefMissing, GitsyncError, GitUnavailable
from gitsync.git import GitCredentials, GitSource, GitTexts, Mirror
from gitsync.git.command import Command, Runner
from gitsync.git.diagnosis import tls_fault, traced
from gitsync.git.environment import remote_environment
from tests.charts.certificates import Authority
from tests.charts.servers import answer, serving
from tests.git.git_world import HttpGit, Repository, authority, basic, command_lines, http_git, silent_port
from tests.until import until

PASSWORD = "p@ss/w:rd 'quoted' $(id) ü%41"


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "served" / "fleet")


@pytest.fixture
async def server(origin: Repository) -> AsyncIterator[HttpGit]:
    async with http_git(origin.path.parent) as server:
        yield server


class Reader:
    """A mirror that is closed at the end of a test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mirrors: list[Mirror] = []

    def __call__(self, url: str, **options: Any) -> Mirror:
        mirror = Mirror(GitSource(url, **options), self.directory)
        self.mirrors.append(mirror)
        return mirror


@pytest.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    reader = Reader(tmp_path / "state")
    yield reader
    for mirror in reader.mirrors:
        await mirror.close()


async def synced(mirror: Mirror) -> dict[str, bytes]:
    """What a sync reads: the head, its tree, its files."""
    commit = await mirror.fetch(await mirror.head())
    entries = await mirror.tree(commit.id)
    blobs = await mirror.read([entry.blob_id for entry in entries])
    return {entry.path: blobs[entry.blob_id] for entry in entries}


async def test_a_public_repository(origin: Repository, server: HttpGit, reader: Reader) -> None:
    origin.commit({"a": "1"})
    mirror = reader(f"{server.url}/fleet", branch="main")
    assert await synced(mirror) == {"a": b"1"}
    origin.commit({"a": "2"})
    assert await synced(mirror) == {"a": b"2"}


async def test_a_poll_without_news_is_one_conversation(origin: Repository, server: HttpGit, reader: Reader) -> None:
    origin.commit({"a": "1"})
    mirror = reader(f"{server.url}/fleet", branch="main")
    await synced(mirror)
    server.seen.clear()
    await mirror.head()
    assert [(method, path) for method, path, _ in server.seen] == [
        ("GET", "/fleet/info/refs?service=git-upload-pack"),
        ("POST", "/fleet/git-upload-pack"),
    ]


@pytest.mark.parametrize("where", ["settings", "url", "name in the url"])
async def test_user_name_and_password(origin: Repository, server: HttpGit, reader: Reader, where: str) -> None:
    origin.commit({"a": "1"})
    server.accepted = {basic("ada", PASSWORD)}
    host = server.url.removeprefix("http://")
    quoted = "p%40ss%2Fw%3Ard%20%27quoted%27%20%24%28id%29%20%C3%BC%2541"
    mirror = {
        "settings": lambda: reader(f"{server.url}/fleet", credentials=GitCredentials("ada", PASSWORD)),
        "url": lambda: reader(f"http://ada:{quoted}@{host}/fleet"),
        "name in the url": lambda: reader(f"http://ada@{host}/fleet", credentials=GitCredentials(password=PASSWORD)),
    }[where]()
    assert await synced(mirror) == {"a": b"1"}
    assert mirror.source.url == f"{server.url}/fleet"


@pytest.mark.parametrize(
    ("accepted", "credentials"),
    [
        (basic("git", "t0ken"), GitCredentials(token="t0ken")),
        (basic("oauth2", "t0ken"), GitCredentials(username="oauth2", token="t0ken")),
        ("Bearer t0ken", GitCredentials(token="t0ken")),
    ],
)
async def test_a_token_as_password_or_bearer(
    origin: Repository, server: HttpGit, reader: Reader, accepted: str, credentials: GitCredentials
) -> None:
    origin.commit({"a": "1"})
    server.accepted = {accepted}
    mirror = reader(f"{server.url}/fleet", credentials=credentials)
    assert await synced(mirror) == {"a": b"1"}
    server.seen.clear()
    await mirror.head()
    assert len(server.seen) <= 3  # the way that worked is gone first


@pytest.mark.parametrize("challenge", ['Basic realm="git"', "Bearer"])
@pytest.mark.parametrize("credentials", [GitCredentials("ada", "wr0ng-pw"), GitCredentials(token="wr0ng-pw")])
async def test_refused_credentials_are_said_so_without_showing_them(
    origin: Repository, server: HttpGit, reader: Reader, credentials: GitCredentials, challenge: str
) -> None:
    origin.commit({"a": "1"})
    server.accepted, server.challenge = {basic("ada", "right")}, challenge
    with pytest.raises(GitAuthRefused) as caught:
        await reader(f"{server.url}/fleet", credentials=credentials).head()
    assert caught.value.message.startswith(f"{server.url}/fleet refuses our credentials")
    assert "expired" in caught.value.hint
    assert "wr0ng" not in f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r} {credentials!r}"


async def test_a_token_that_expires_and_one_that_works_again(
    origin: Repository, server: HttpGit, reader: Reader
) -> None:
    origin.commit({"a": "1"})
    server.accepted = {"Bearer t0ken"}
    mirror = reader(f"{server.url}/fleet", credentials=GitCredentials(token="t0ken"))
    await mirror.head()
    server.accepted = {"Bearer other"}
    with pytest.raises(GitAuthRefused, match="refuses our credentials"):
        await mirror.head()
    server.accepted = {"Bearer t0ken"}
    await mirror.head()


async def test_credentials_that_are_renewed_in_place(origin: Repository, server: HttpGit, tmp_path: Path) -> None:
    origin.commit({"a": "1"})
    file = tmp_path / "token"
    file.write_text("old")
    mirror = Mirror(
        GitSource(f"{server.url}/fleet"), tmp_path / "state", lambda: GitCredentials(token=file.read_text())
    )
    server.accepted = {basic("git", "old")}
    await mirror.head()
    server.accepted = {basic("git", "new")}
    with pytest.raises(GitAuthRefused):
        await mirror.head()
    file.write_text("new")
    await mirror.head()
    await mirror.close()


async def test_missing_credentials_are_asked_for_in_the_error_and_not_on_a_terminal(
    origin: Repository, server: HttpGit, reader: Reader
) -> None:
    server.accepted = set()
    with pytest.raises(GitAuthRefused, match="asks for credentials and none are configured") as caught:
        await reader(f"{server.url}/fleet").head()
    assert "token" in caught.value.hint


async def test_no_process_list_no_error_and_no_file_shows_a_secret(
    origin: Repository, server: HttpGit, reader: Reader, tmp_path: Path
) -> None:
    origin.commit({"a": "1"})
    secrets = ("s3cret-pw", "s3cret-token")
    server.accepted = {basic("ada", "s3cret-pw"), "Bearer s3cret-token"}
    for credentials in (GitCredentials("ada", "s3cret-pw"), GitCredentials(token="s3cret-token")):
        mirror = reader(f"{server.url}/fleet", credentials=credentials)
        server.gate.clear()
        server.seen.clear()
        polling = asyncio.create_task(mirror.head())
        lists = []
        while not polling.done():
            # Look while the server holds a request back, at every step of the conversation.
            await asyncio.wait([polling], timeout=0.03)
            lists.append(await asyncio.to_thread(command_lines))
            server.gate.set()
            await asyncio.wait([polling], timeout=0.005)
            server.gate.clear()
        await polling
        server.gate.set()
        assert any("git" in text and "ls-remote" in text for text in lists)
        assert not any(secret in text for text in lists for secret in secrets)
        await synced(mirror)
    for file in (tmp_path / "state").rglob("*"):
        assert not file.is_file() or not any(secret.encode() in file.read_bytes() for secret in secrets)


async def test_credentials_do_not_follow_a_redirect_to_another_host(
    origin: Repository, server: HttpGit, reader: Reader
) -> None:
    origin.commit({"a": "1"})
    async with http_git(origin.path.parent) as elsewhere:
        elsewhere.accepted = {"nothing"}
        server.redirect = elsewhere.url
        for credentials in (GitCredentials("ada", "s3cret"), GitCredentials(token="s3cret")):
            with pytest.raises(GitsyncError):
                await reader(f"{server.url}/fleet", credentials=credentials).head()
        assert elsewhere.seen
        assert {authorization for _, _, authorization in elsewhere.seen} == {""}


async def test_a_bearer_token_does_not_follow_a_redirect(origin: Repository, server: HttpGit, reader: Reader) -> None:
    origin.commit({"a": "1"})
    server.accepted, server.challenge = {"Bearer s3cret"}, "Bearer"
    async with http_git(origin.path.parent) as elsewhere:
        server.redirect = elsewhere.url
        with pytest.raises(GitsyncError):
            await reader(f"{server.url}/fleet", credentials=GitCredentials(token="s3cret")).head()
        assert not any(authorization for _, _, authorization in elsewhere.seen)


async def test_a_redirect_to_another_transport_is_not_followed(
    origin: Repository, server: HttpGit, reader: Reader
) -> None:
    origin.commit({"a": "1"})
    server.redirect = f"file://{origin.path}"
    with pytest.raises(GitUnavailable):
        await reader(f"{server.url}/fleet").head()


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "there is no repository at"), (403, "refuses our credentials"), (500, "error: 500"), (503, "error: 503")],
)
async def test_a_server_that_says_no(server: HttpGit, reader: Reader, status: int, message: str) -> None:
    server.status = status
    with pytest.raises(GitUnavailable) as caught:
        await reader(f"{server.url}/fleet").head()
    assert message in caught.value.message
    assert f"{server.url}/fleet" in caught.value.message


async def test_a_remote_that_hangs_is_given_up_after_the_timeout_with_all_its_processes(reader: Reader) -> None:
    async with silent_port() as port:
        mirror = reader(f"http://127.0.0.1:{port}/fleet", timeout=0.5)
        started = time.monotonic()
        with pytest.raises(GitUnavailable, match=r"did not answer within 0\.5 s"):
            await mirror.head()
        assert 0.4 < time.monotonic() - started < 60
        with pytest.raises(GitUnavailable, match="did not answer"):
            await mirror.fetch("1" * 40)
        await until(lambda: f"127.0.0.1:{port}" not in command_lines())


async def test_a_cancelled_poll_leaves_no_process_behind(reader: Reader) -> None:
    async with silent_port() as port:
        mirror = reader(f"http://127.0.0.1:{port}/fleet", timeout=3600.0)  # longer than any test
        polling = asyncio.create_task(mirror.head())
        await until(lambda: f"127.0.0.1:{port}" in command_lines())
        polling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await polling
        await until(lambda: f"127.0.0.1:{port}" not in command_lines())


async def test_a_remote_that_hangs_does_not_stop_reading(origin: Repository, server: HttpGit, reader: Reader) -> None:
    commit_id = origin.commit({"a": "1"})
    mirror = reader(f"{server.url}/fleet")
    await synced(mirror)
    server.gate.clear()
    asked = len(server.seen)
    polling = asyncio.create_task(mirror.head())
    fetching = asyncio.create_task(mirror.fetch("1" * 40))
    await until(lambda: len(server.seen) > asked)
    assert [entry.path for entry in await mirror.tree(commit_id)] == ["a"]
    for task in (polling, fetching):
        task.cancel()
    await asyncio.wait([polling, fetching])


async def test_closing_ends_what_is_under_way(reader: Reader) -> None:
    async with silent_port() as port:
        mirror = reader(f"http://127.0.0.1:{port}/fleet")
        polling = asyncio.create_task(mirror.head())
        await until(lambda: f"127.0.0.1:{port}" in command_lines())
        await mirror.close()
        with pytest.raises(GitUnavailable, match="gitsync is closing"):
            await polling
        await until(lambda: f"127.0.0.1:{port}" not in command_lines())


async def test_a_remote_that_is_gone(origin: Repository, reader: Reader) -> None:
    commit_id = origin.commit({"a": "1"})
    async with http_git(origin.path.parent) as server:
        mirror = reader(f"{server.url}/fleet")
        await synced(mirror)
    with pytest.raises(GitUnavailable, match=r"cannot reach http://127\.0\.0\.1:\d+/fleet: Failed to connect"):
        await mirror.head()
    assert [entry.path for entry in await mirror.tree(commit_id)] == ["a"]
    with pytest.raises(GitUnavailable, match="cannot reach http://no-such-host"):
        await reader("http://no-such-host.invalid/fleet").head()


async def test_a_server_that_gives_out_tips_only(origin: Repository, server: HttpGit, reader: Reader) -> None:
    """Protocol v0 without uploadpack.allowAnySHA1InWant, as old and some hosted servers are."""
    server.protocol_v2 = False
    old = origin.commit({"a": "1"})
    for number in range(3):
        origin.commit({"a": f"later {number}"})

    for options in ({"commit": old}, {"commit": old, "branch": "main"}):
        mirror = reader(f"{server.url}/fleet", **options)
        assert await synced(mirror) == {"a": b"1"}
        assert Repository(mirror.path).git("for-each-ref", "--format=%(refname)") == f"refs/gitsync/{old}"
    # A branch that has moved on between the poll and the fetch:
    mirror = reader(f"{server.url}/fleet", branch="main")
    seen = await mirror.head()
    origin.commit({"a": "news"})
    assert (await mirror.fetch(seen)).id == seen
    # A commit that is nowhere in the history:
    with pytest.raises(GitRefMissing, match="is not in the history of"):
        await mirror.fetch("1" * 40)


async def test_a_far_commit_is_found_in_the_whole_history(
    origin: Repository, server: HttpGit, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitsync.git.remote._DEPTHS", (2, 0x7FFFFFFF))
    server.protocol_v2 = False
    old = origin.commit({"a": "1"})
    for number in range(4):
        origin.commit({"a": f"later {number}"})
    assert await synced(reader(f"{server.url}/fleet", commit=old)) == {"a": b"1"}


async def test_https_with_a_private_authority(
    origin: Repository, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")  # acts by being set at all: git must not see it
    origin.commit({"a": "1"})
    context, ca_file = authority(tmp_path)
    async with http_git(origin.path.parent, context) as server:
        server.accepted = {basic("git", "t0ken")}
        url = f"{server.url}/fleet"
        assert await synced(reader(url, credentials=GitCredentials(token="t0ken", ca_file=ca_file))) == {"a": b"1"}
        with pytest.raises(GitUnavailable, match="no trusted connection to https://") as caught:
            await reader(url, credentials=GitCredentials(token="t0ken")).head()
        assert "ca_file" in caught.value.hint
        assert all(authorization in ("", basic("git", "t0ken")) for _, _, authorization in server.seen)

        async with http_git(origin.path.parent) as plain:
            server.redirect = plain.url
            with pytest.raises(GitUnavailable):
                await reader(url, credentials=GitCredentials(token="t0ken", ca_file=ca_file)).head()
            assert plain.seen == []  # nothing is sent unencrypted that was to be encrypted


@pytest.mark.parametrize(
    ("server_side", "given", "cause", "hint"),
    [
        ({"expired": True}, {}, "its certificate has expired", "renewed"),
        ({"hosts": ["elsewhere.example"]}, {}, "its certificate is not one for localhost", "correct the URL"),
        ({}, {"ca": Authority().pem}, "its certificate is by an authority that is not known here", "ca.crt"),
        (
            {"wants_client": True},
            {},
            "it ends the connection as soon as hands are shaken: it may ask for a client's certificate, and none is "
            "given",
            "tls.crt and tls.key",
        ),
    ],
    ids=["expired", "another host", "foreign", "client's certificate"],
)
async def test_what_is_wrong_with_a_certificate_is_told_apart(
    origin: Repository,
    reader: Reader,
    tmp_path: Path,
    server_side: dict[str, Any],
    given: dict[str, str],
    cause: str,
    hint: str,
) -> None:
    origin.commit({"a": "1"})
    known = Authority()
    async with http_git(origin.path.parent, known.server_context(tmp_path, **server_side)) as server:
        url = f"{server.url.replace('127.0.0.1', 'localhost')}/fleet"
        access = GitCredentials(token="t0ken", texts=GitTexts(**{"ca": known.pem, **given}))
        for _ in range(2):
            with pytest.raises(GitUnavailable) as caught:
                await reader(url, credentials=access).head()
            assert caught.value.message == f"no trusted connection to {url}: {cause}", "the same at every try"
            assert hint in caught.value.hint
        assert server.seen == []


@contextmanager
def shaking_hands(context: ssl.SSLContext) -> Iterator[int]:
    """A server that says what it does not like about a client's certificate, as most do and asyncio's does not."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.settimeout(5)
                with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
                    wrapped.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_a_server_says_of_a_clients_certificate_is_told(
    reader: Reader, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    known, other = Authority(), Authority()
    context = known.server_context(tmp_path, wants_client=True)
    context.maximum_version = version
    cert, key = other.issue("somebody")
    with shaking_hands(context) as port:
        url = f"https://localhost:{port}/fleet"

        async def failure(**texts: str) -> str:
            access = GitCredentials(texts=GitTexts(ca=known.pem, **texts))
            with pytest.raises(GitUnavailable) as caught:
                await reader(url, credentials=access).head()
            return caught.value.message

        of_a_stranger, without = await failure(cert=cert, key=key), await failure()
    assert of_a_stranger == f"no trusted connection to {url}: it does not take the client's certificate that is given"
    if version == ssl.TLSVersion.TLSv1_3:
        assert without == f"no trusted connection to {url}: it asks for a client's certificate and none is given"
    else:  # a refusal of which TLS 1.2 does not say why
        assert without.startswith(f"no trusted connection to {url}: it refuses the handshake: it may ask for")


async def test_nobody_is_asked_once_more_where_a_proxy_stands_between(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever speaks TLS there is not who git has spoken to."""
    async with silent_port() as port:
        url = f"https://127.0.0.1:{port}/fleet"
        monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
        assert await tls_fault(GitSource(url)) is None
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert await tls_fault(GitSource(url, timeout=0.5)) is None, "a server that says nothing"


async def test_redirects_without_end_are_given_up(reader: Reader) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": f"/again{request.path_qs}"})

    async with serving(handle) as server:
        with pytest.raises(GitUnavailable, match="redirects followed"):
            await reader(f"{server.url}/fleet").head()
        assert 1 < len(server.requests) < 50


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"<html>please sign in</html>", "text/html", "answers with a page (text/html) and not as a git repository"),
        (b"<html>\n<body>\nplease\n</html>\n", "text/html; charset=utf-8", "answers with a page (text/html)"),
        (b"<html>please sign in</html>", "application/x-git-upload-pack-advertisement", "cannot read"),
        (b"001e# service=git-upload-pack\n0000zzzz", "application/x-git-upload-pack-advertisement", "cannot read"),
        (b"001e# service=git-upload-pack\n0000003f", "application/x-git-upload-pack-advertisement", "cannot"),
        (b"", "text/plain", "is empty: it has no commit yet"),
    ],
    ids=["a page", "a page of lines", "a page as an answer", "no packets", "cut off", "nothing"],
)
async def test_an_answer_that_is_none_of_git_s_is_said(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes, content_type: str, words: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    async with serving(answer(body, Content_Type=content_type)) as server:
        mirror = reader(f"{server.url}/fleet", credentials=GitCredentials("ada", "s3cret"))
        with pytest.raises(GitUnavailable) as caught:
            await mirror.head()
        assert f"{server.url}/fleet" in caught.value.message
        assert words in caught.value.message
        assert "s3cret" not in str(caught.value)
        if "html" in content_type:
            with pytest.raises(GitUnavailable, match="answers with a page"):
                await reader(f"{server.url}/fleet", tag="v1").head()
    assert list(scratch.iterdir()) == []


async def test_what_git_writes_down_of_an_answer_shows_no_login(
    origin: Repository, server: HttpGit, tmp_path: Path
) -> None:
    origin.commit({"a": "1"})
    server.accepted = {basic("ada", "s3cret")}
    for bearer in (False, True):
        source = GitSource(f"{server.url}/fleet", credentials=GitCredentials("ada", "s3cret", "t0ken"))
        trace = tmp_path / f"trace-{bearer}"
        runner = Runner()
        environment = remote_environment(source, None, bearer=bearer) | traced(trace)
        await runner.run(Command(("ls-remote", source.url), environment, 30.0))
        await runner.close()
        text = trace.read_text()
        assert "Send header: Authorization: <redacted>" in text or "<redacted>" in text
        assert not any(secret in text for secret in ("s3cret", "t0ken", basic("ada", "s3cret")))


async def test_an_answer_that_drips_in_meets_the_deadline(reader: Reader) -> None:
    done = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/x-git-upload-pack-advertisement"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(b"001e#")
        await done.wait()
        return response

    async with serving(handle) as server:
        started = time.monotonic()
        with pytest.raises(GitUnavailable, match="did not answer within"):
            await reader(f"{server.url}/fleet", timeout=1.0).head()
        assert time.monotonic() - started < 60
        done.set()


async def test_a_bearer_token_that_is_one_is_never_sent_as_a_password(
    origin: Repository, server: HttpGit, reader: Reader
) -> None:
    origin.commit({"a": "1"})
    server.accepted, server.challenge = {basic("git", "t0ken")}, "Bearer"
    with pytest.raises(GitAuthRefused):
        await reader(f"{server.url}/fleet", credentials=GitCredentials(token="t0ken", bearer=True)).head()
    assert {authorization for _, _, authorization in server.seen} == {"Bearer t0ken"}


async def test_a_proxy_is_asked_with_its_login(origin: Repository, server: HttpGit, reader: Reader) -> None:
    origin.commit({"a": "1"})
    host = server.url.removeprefix("http://")
    credentials = GitCredentials(proxy=f"http://me:pr0xy-pw@{host}")  # a server can be its own proxy
    assert await synced(reader("http://no-such-host.invalid/fleet", credentials=credentials)) == {"a": b"1"}
    assert "pr0xy-pw" not in repr(credentials)
    with pytest.raises(GitUnavailable) as caught:
        await reader(
            "http://no-such-host.invalid/x", credentials=GitCredentials(proxy="http://me:pr0xy-pw@[::1]:1")
        ).head()
    assert "pr0xy-pw" not in str(caught.value)


async def test_the_proxy_of_the_environment_is_asked(
    origin: Repository, server: HttpGit, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.commit({"a": "1"})
    monkeypatch.setenv("http_proxy", server.url)
    assert await synced(reader("http://no-such-host.invalid/fleet")) == {"a": b"1"}
    monkeypatch.setenv("no_proxy", "no-such-host.invalid")
    with pytest.raises(GitUnavailable, match="cannot reach"):
        await reader("http://no-such-host.invalid/fleet").head()


async def test_a_clients_certificate_out_of_texts_is_shown_and_leaves_no_file(
    origin: Repository, reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    origin.commit({"a": "1"})
    context, ca_file = authority(tmp_path)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca_file)
    whole = (tmp_path / "server.pem").read_text()
    key, _, certificate = whole.partition("-----BEGIN CERTIFICATE-----")
    texts = GitTexts(ca_file.read_text(), "-----BEGIN CERTIFICATE-----" + certificate, key)
    async with http_git(origin.path.parent, context) as server:
        url = f"{server.url}/fleet"
        assert await synced(reader(url, credentials=GitCredentials(texts=texts))) == {"a": b"1"}
        with pytest.raises(GitUnavailable):
            await reader(url, credentials=GitCredentials(texts=GitTexts(ca=texts.ca))).head()
    assert list(scratch.iterdir()) == []
