"""A real registry (distribution) on loopback: TLS, one user, its blobs as files that a test can damage."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.controlplane.certificates import write_certificates
from tests.controlplane.errors import CommandError
from tests.controlplane.processes import Process, free_ports, listens

USER: Final = "puller"
PASSWORD: Final = "pull-s3cret-word"
#: bcrypt of the password, which is all that the registry takes; 4 rounds, since each request costs one.
_HASH: Final = "$2b$04$0AP0IPGoAYmank1U5W988.EuNzhGeiqCEmtQkGm9RxZomq7DDyv1e"
#: Without this it looks for a collector of traces.
_ENVIRONMENT: Final = {"OTEL_TRACES_EXPORTER": "none"}


class Registry:
    """A registry in a directory of its own, on a free port. ``token`` is its configuration ``auth.token``, for one that
    takes tokens in the place of the user's password; ``tls=False`` has it speak plain HTTP, ``login=False`` let
    everybody in; ``storage`` may be another registry's; ``client_ca`` is whose client certificates it asks for.
    """

    def __init__(
        self,
        directory: Path,
        binary: Path,
        helm: Path,
        *,
        tls: bool = True,
        login: bool = True,
        token: Mapping[str, Any] | None = None,
        client_ca: Path | None = None,
        storage: Path | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.storage = storage or directory / "storage"
        self._directory, self._binary, self._helm = directory, binary, helm
        self._tls, self._login, self._token, self._client_ca = tls, login, token, client_ca
        self._process: Process | None = None
        self.port = free_ports(1)[0]
        self.certificates = write_certificates(directory / "pki")

    @property
    def host(self) -> str:
        """Host and port."""
        return f"localhost:{self.port}"

    @property
    def ca(self) -> str:
        """The authority of its certificate, as PEM."""
        return self.certificates.ca.read_text()

    def url(self, repository: str) -> str:
        """``oci://...`` of one of its repositories."""
        return f"oci://{self.host}/{repository}"

    def start(self, timeout: float = 30) -> Registry:
        """Raises StartError."""
        config = self._directory / "config.json"
        config.write_text(json.dumps(self._config()))
        command = [str(self._binary), "serve", str(config)]
        log = self._directory / "registry.log"
        self._process = Process("registry", command, log, outlive_parent=False, environment=_ENVIRONMENT)
        self._process.wait_until(lambda: listens(self.port), time.monotonic() + timeout)
        return self

    def stop(self) -> None:
        """End it. What it holds is there when it is started again, on the same port."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def push(self, archive: Path, folder: str = "charts") -> str:
        """Push a packaged chart by helm; the digest of its manifest."""
        said = self.helm("push", archive, f"oci://{self.host}/{folder}")
        return said.partition("Digest: ")[2].split()[0]

    def helm(self, *arguments: str | Path) -> str:
        """What a command of helm prints that speaks to this registry. Raises CommandError."""
        access = [f"--ca-file={self.certificates.ca}"] if self._tls else ["--plain-http"]
        login = [] if self._token or not self._login else [f"--username={USER}", f"--password={PASSWORD}"]
        command = [str(self._helm), *map(str, arguments), *access, *login]
        folder = self._directory / "helm"
        home = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(command, env=home, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise CommandError(["helm", *map(str, arguments)], done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def blob(self, digest: str) -> Path:
        """The file that holds a blob, for a test that damages it."""
        algorithm, _, hexadecimal = digest.partition(":")
        blobs = self.storage / "docker" / "registry" / "v2" / "blobs"
        return blobs / algorithm / hexadecimal[:2] / hexadecimal / "data"

    @property
    def log(self) -> str:
        """What it has written: a line for each request."""
        return (self._directory / "registry.log").read_text(errors="replace")

    def _config(self) -> dict[str, Any]:
        http: dict[str, Any] = {"addr": f"127.0.0.1:{self.port}", "secret": "of no matter"}
        if self._tls:
            files = self.certificates
            http["tls"] = {"certificate": str(files.server_certificate), "key": str(files.server_key)}
            if self._client_ca:
                http["tls"]["clientcas"] = [str(self._client_ca)]
        passwords = self._directory / "htpasswd"
        passwords.write_text(f"{USER}:{_HASH}\n")
        basic = {"htpasswd": {"realm": "a registry, for tests", "path": str(passwords)}}
        auth = {"token": dict(self._token)} if self._token else basic
        return {
            "version": "0.1",
            "log": {"level": "info", "formatter": "json"},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": http,
            **({"auth": auth} if self._login else {}),
        }
