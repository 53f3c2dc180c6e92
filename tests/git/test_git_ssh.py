"""Over ssh, against a real ssh server: the key, the host key, and what happens when one of them is not right.

Where this machine has no ssh client, a small one stands in that takes the options gitsync gives to ssh.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from gitsync.errors import GitAuthRefused, GitUnavailable
from gitsync.git import GitSource, Mirror
from gitsync.tree import changed_files
from tests.git.git_world import Repository, command_lines, silent_port
from tests.git.ssh_world import SshGit, client_path, ssh_git
from tests.until import until


@pytest.fixture(autouse=True)
def ssh_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", client_path(tmp_path / "bin"))


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
