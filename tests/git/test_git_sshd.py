"""Over ssh, against OpenSSH's own server, where this machine has one that can be started; see ``test_git_ssh`` else."""

from __future__ import annotations

import asyncio
import getpass
import os
import pwd
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gitsync.errors import GitAuthRefused, GitUnavailable
from gitsync.git import GitCredentials, GitSource, GitTexts, Mirror
from tests.controlplane.processes import free_ports
from tests.git.git_world import Repository
from tests.until import until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _startable() -> bool:
    """For root it wants a user of its own, for others it lets in themselves alone: those with a shell."""
    if SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        return False
    if os.geteuid() == 0:
        return any(entry.pw_name == "sshd" for entry in pwd.getpwall()) and Path("/run/sshd").is_dir()
    return not pwd.getpwuid(os.geteuid()).pw_shell.endswith(("nologin", "false"))


pytestmark = pytest.mark.skipif(not _startable(), reason="this machine has no sshd that can be started")


def key(directory: Path, name: str, passphrase: str = "") -> Path:
    """A pair of keys; the public one ends with .pub."""
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(directory / name)]
    subprocess.run(made, check=True, capture_output=True)
    return directory / name


@dataclass
class Sshd:
    """Where it listens, as whom it lets in, and what both sides have to know."""

    port: int
    directory: Path
    config: Path
    process: subprocess.Popen[bytes] | None = None

    def url(self, path: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{path}"

    def known_hosts(self, host_key: str = "host") -> str:
        return f"[127.0.0.1]:{self.port} {(self.directory / f'{host_key}.pub').read_text()}"

    async def start(self, host_key: str = "host") -> None:
        """With this host key; the one before ends."""
        self.stop()
        settings = {
            "Port": str(self.port),
            "ListenAddress": "127.0.0.1",
            "HostKey": str(self.directory / host_key),
            "AuthorizedKeysFile": str(self.directory / "authorized"),
            "StrictModes": "no",
            "PasswordAuthentication": "no",
            "PermitRootLogin": "yes",
            "PidFile": "none",
        }
        self.config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        log = self.directory / "sshd.log"
        assert SSHD is not None
        self.process = subprocess.Popen([SSHD, "-D", "-f", str(self.config), "-E", str(log)])  # noqa: ASYNC220

        async def listens() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                assert self.process is not None
                assert self.process.poll() is None, log.read_text()
                return False
            writer.close()
            return True

        await until(listens)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)


@pytest.fixture
async def sshd(tmp_path: Path) -> AsyncIterator[Sshd]:
    directory = tmp_path / "ssh"
    directory.mkdir()
    for name in ("host", "other-host", "mine", "strange"):
        key(directory, name)
    key(directory, "locked", "pass phrase")
    allowed = [(directory / f"{name}.pub").read_text() for name in ("mine", "locked")]
    (directory / "authorized").write_text("".join(allowed))
    (port,) = free_ports(1)
    server = Sshd(port, directory, directory / "sshd_config")
    await server.start()
    yield server
    server.stop()


async def test_a_repository_is_read_and_keys_and_host_keys_are_looked_at(sshd: Sshd, tmp_path: Path) -> None:
    origin = Repository.make(tmp_path / "fleet")
    commit = origin.commit({"a": "1"})

    async def head(name: str, known_hosts: str, passphrase: str = "") -> str:
        texts = GitTexts(ssh_key=(sshd.directory / name).read_text(), known_hosts=known_hosts)
        credentials = GitCredentials(texts=texts, passphrase=passphrase)
        mirror = Mirror(GitSource(sshd.url(origin.path), credentials=credentials), tmp_path / "state")
        try:
            found = await mirror.head()
            entries = await mirror.tree((await mirror.fetch(found)).id)
            assert [entry.path for entry in entries] == ["a"]
            return found
        finally:
            await mirror.close()

    assert await head("mine", sshd.known_hosts()) == commit
    assert await head("locked", sshd.known_hosts(), "pass phrase") == commit
    with pytest.raises(GitAuthRefused, match="refuses our credentials"):
        await head("strange", sshd.known_hosts())
    with pytest.raises(GitAuthRefused) as caught:
        await head("locked", sshd.known_hosts(), "another phrase")
    assert "passphrase" in f"{caught.value.message} {caught.value.hint}"
    with pytest.raises(GitUnavailable, match=r"the ssh host key of .* is not in known_hosts, or has changed"):
        await head("mine", sshd.known_hosts("other-host"))
    await sshd.start("other-host")
    with pytest.raises(GitUnavailable, match=r"the ssh host key of .* is not in known_hosts, or has changed"):
        await head("mine", sshd.known_hosts())
    assert await head("mine", sshd.known_hosts("other-host")) == commit
