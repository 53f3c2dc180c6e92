"""An ssh server that runs git, and a client for machines that have none."""

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

from gitsync.git import GitCredentials
from tests.git.git_world import clean_environment

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
    """A server that runs git's commands for a client that has the key."""

    port: int
    key_file: Path
    known_hosts_file: Path
    users: list[str]

    @property
    def credentials(self) -> GitCredentials:
        return GitCredentials(ssh_key_file=self.key_file, known_hosts_file=self.known_hosts_file)

    def url(self, path: Path) -> str:
        return f"ssh://git@127.0.0.1:{self.port}{path}"


def client_path(directory: Path) -> str:
    """A PATH with an ssh on it: this machine's own, or a small one that is put into ``directory``."""
    if shutil.which("ssh"):
        return os.environ["PATH"]
    directory.mkdir(parents=True, exist_ok=True)
    client = directory / "ssh"
    client.write_text(STAND_IN.format(python=sys.executable))
    client.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


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
