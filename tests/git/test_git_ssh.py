"""Over ssh, against a real ssh server: the key, the host key, and what happens when one of them is not right.

Where this machine has no ssh client, a small one stands in that takes the options gitsync gives to ssh.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from gitsync.errors import GitAuthRefused, GitUnavailable
from gitsync.git import GitCredentials, GitSource, Mirror
from gitsync.tree import changed_files
from tests.git.git_world import Repository, clean_environment, command_lines, silent_port
from tests.until import until

STAND_IN = '''#!{python}
"""ssh [-F none] [-o NAME=VALUE]... [-p PORT] [USER@]HOST COMMAND, as far as git and gitsync use it."""
import asyncio, sys, asyncssh

async def main(args):
    options, port = {{}}, 22
    while args[0].startswith("-"):
        flag, value, *args = args
        if flag == "-o":
            name, _, text = value.partition("=")
            options[name] = text.strip('"').replace("%%", "%")
        elif flag == "-p":
            port = int(value)
        else:
            assert (flag, value) == ("-F", "none"), flag
    assert options["StrictHostKeyChecking"] == options["BatchMode"] == "yes"
    user, _, host = args[0].rpartition("@")
    try:
        async with asyncssh.connect(
            host, port, username=user, client_keys=[options["IdentityFile"]], agent_path=None, config=None,
            known_hosts=options["UserKnownHostsFile"],
        ) as connection:
            done = await connection.run(
                " ".join(args[1:]), stdin=sys.stdin.buffer, stdout=sys.stdout.buffer, stderr=sys.stderr, encoding=None
            )
            return done.exit_status
    except asyncssh.HostKeyNotVerifiable:
        print("Host key verification failed.", file=sys.stderr)
    except asyncssh.PermissionDenied:
        print(f"{{args[0]}}: Permission denied (publickey).", file=sys.stderr)
    return 255

sys.exit(asyncio.run(main(sys.argv[1:])))
'''


@dataclass
class SshGit:
    """A server that runs the git commands of whoever has the key."""

    port: int
    key_file: Path
    known_hosts_file: Path
    users: list[str]

    @property
    def credentials(self) -> GitCredentials:
        return GitCredentials(ssh_key_file=self.key_file, known_hosts_file=self.known_hosts_file)

    def url(self, path: Path) -> str:
        return f"ssh://git@127.0.0.1:{self.port}{path}"


@pytest.fixture(autouse=True)
def ssh_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("ssh"):
        return
    client = tmp_path / "bin" / "ssh"
    client.parent.mkdir()
    client.write_text(STAND_IN.format(python=sys.executable))
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{client.parent}{os.pathsep}{os.environ['PATH']}")


async def run_git(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """What sshd does with a command."""
    git = await asyncio.create_subprocess_shell(
        process.command or "false", env=clean_environment(),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert git.stdin is not None
    assert git.stdout is not None
    assert git.stderr is not None

    async def feed(sink: asyncio.StreamWriter) -> None:
        while data := await process.stdin.read(1 << 16):
            sink.write(data)
        sink.close()

    async def pass_on(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)

    feeding = asyncio.create_task(feed(git.stdin))
    await asyncio.gather(pass_on(git.stdout, process.stdout), pass_on(git.stderr, process.stderr))
    feeding.cancel()
    process.exit(await git.wait())


@asynccontextmanager
async def ssh_git(directory: Path) -> AsyncIterator[SshGit]:
    key = asyncssh.generate_private_key("ssh-ed25519")
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    key_file = directory / "key 100%"
    key_file.write_bytes(key.export_private_key())
    key_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    users = []

    async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
        users.append(process.get_extra_info("username"))
        await run_git(process)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(key.export_public_key().decode()),
        process_factory=serve,
        encoding=None,
    )
    port = server.get_port()
    known_hosts_file = directory / "known hosts"
    known_hosts_file.write_text(f"[127.0.0.1]:{port} {host_key.export_public_key().decode()}")
    try:
        yield SshGit(port, key_file, known_hosts_file, users)
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SshGit]:
    directory = tmp_path / "it's a directory"
    directory.mkdir()
    async with ssh_git(directory) as server:
        yield server


@pytest.fixture
def origin(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "fleet")


async def test_a_repository_behind_ssh(origin: Repository, server: SshGit, tmp_path: Path) -> None:
    old = origin.commit({"a": "1"})
    new = origin.commit({"a": "2"})
    source = GitSource(server.url(origin.path), branch="main", credentials=server.credentials)
    mirror = Mirror(source, tmp_path / "state")

    assert await mirror.head() == new
    await mirror.fetch(new)
    assert await changed_files(await mirror.artifact(old), await mirror.artifact(new)) == 1
    assert set(server.users) == {"git"}
    await mirror.close()


async def test_a_host_key_that_is_not_known_is_refused(origin: Repository, server: SshGit, tmp_path: Path) -> None:
    origin.commit({"a": "1"})
    stranger = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    for known in ("", f"[127.0.0.1]:{server.port} {stranger}"):
        server.known_hosts_file.write_text(known)
        mirror = Mirror(GitSource(server.url(origin.path), credentials=server.credentials), tmp_path / "state")
        with pytest.raises(GitUnavailable, match=r"ssh host key of .* is not in known_hosts, or has changed"):
            await mirror.head()
        await mirror.close()
    assert server.users == []


async def test_a_key_that_the_server_does_not_take(origin: Repository, server: SshGit, tmp_path: Path) -> None:
    origin.commit({"a": "1"})
    server.key_file.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    mirror = Mirror(GitSource(server.url(origin.path), credentials=server.credentials), tmp_path / "state")
    with pytest.raises(GitAuthRefused, match=f"127.0.0.1:{server.port}{origin.path} refuses our credentials"):
        await mirror.head()
    await mirror.close()


async def test_an_ssh_server_without_this_repository(server: SshGit, tmp_path: Path) -> None:
    mirror = Mirror(GitSource(server.url(tmp_path / "nowhere"), credentials=server.credentials), tmp_path / "state")
    with pytest.raises(GitUnavailable, match="there is no repository at ssh://"):
        await mirror.head()
    await mirror.close()


async def test_a_silent_ssh_server_is_given_up_after_the_timeout(server: SshGit, tmp_path: Path) -> None:
    async with silent_port() as port:
        source = GitSource(f"ssh://git@127.0.0.1:{port}/fleet", credentials=server.credentials, timeout=0.5)
        mirror = Mirror(source, tmp_path / "state")
        with pytest.raises(GitUnavailable, match=r"did not answer within 0\.5 s"):
            await mirror.head()
        await until(lambda: f"-p {port}" not in command_lines())
        await mirror.close()
