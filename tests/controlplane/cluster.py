"""A cluster as tests see it: how to reach it, by HTTPS, kubectl and helm."""

from __future__ import annotations

import base64
import functools
import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3

from tests.controlplane.errors import ApiError, CommandError, ControlPlaneError
from tests.controlplane.processes import FRUGAL

#: How often a request is repeated that the server answers with "too early".
_TRIES = 20


@dataclass(frozen=True)
class Cluster:
    """How to reach an API server as an administrator."""

    kubeconfig: Path
    server: str
    token: str
    ca_file: Path
    #: Whether what is left in it may stay, since the cluster ends with the tests.
    ends_with_tests: bool = False

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the API server; the JSON it answers, or {} for an answer that is not JSON.

        A server that says that it is too early, as for a kind that has just come, is asked again.
        Raises ApiError for an error status and OSError when the server is not there.
        """
        sent = None if body is None else json.dumps(body).encode()
        for _ in range(_TRIES):
            response = self.answer(method, path, body=sent, headers={"Content-Type": "application/json"})
            if response.status != 429:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        if response.status >= 400:
            raise ApiError(method, path, response.status, response.data.decode(errors="replace"))
        is_json = response.headers.get("Content-Type", "").partition(";")[0] == "application/json"
        parsed: dict[str, Any] = json.loads(response.data) if is_json else {}
        return parsed

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None, *, stream: bool = False
    ) -> urllib3.BaseHTTPResponse:
        """One request; the answer as it is, an error's too. Of a ``stream`` the body is still to be read.

        Raises OSError when the server is not there.
        """
        try:
            return _pool(self.ca_file).request(
                method,
                f"{self.server}{path}",
                body=body,
                headers={"Authorization": f"Bearer {self.token}", **headers},
                preload_content=not stream,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f"{method} {self.server}{path}: {error}") from error

    def disconnect(self) -> None:
        """Close the connections that were kept; for a server in this process, which cannot end in order before."""
        _pool(self.ca_file).clear()

    def is_ready(self) -> bool:
        """Whether the API server says that it is ready."""
        try:
            self.request("GET", "/readyz")
        except (ApiError, OSError):
            return False
        return True

    @classmethod
    def from_kubeconfig(cls, kubeconfig: Path, kubectl: Path, directory: Path) -> Cluster:
        """Reads any kubeconfig whose current user has a token, with kubectl's own understanding of such files.

        `directory` is for the file with the CA.
        """
        config = json.loads(Cli(kubectl, kubeconfig)("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        if "token" not in user or "certificate-authority-data" not in cluster:
            raise ControlPlaneError(f"{kubeconfig}: the tests need a user with a token and a cluster with its CA")
        ca_file = directory / "ca.crt"
        ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        return cls(kubeconfig, cluster["server"], user["token"], ca_file)


@dataclass(frozen=True)
class Cli:
    """kubectl or helm on one cluster: call it with arguments, get what it prints."""

    binary: Path
    kubeconfig: Path
    environment: Mapping[str, str] | None = None

    def __call__(self, *arguments: str | Path, stdin: str | None = None, timeout: float = 120) -> str:
        """Standard output of the command. Raises CommandError, with standard error, when it fails."""
        command = [str(self.binary), *(str(argument) for argument in arguments)]
        done = subprocess.run(
            command,
            env={
                **os.environ,
                **FRUGAL,
                **(self.environment or {}),
                "KUBECONFIG": str(self.kubeconfig),
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode:
            raise CommandError([self.binary.name, *command[1:]], done.returncode, done.stdout, done.stderr)
        return done.stdout


@functools.cache
def _pool(ca_file: Path) -> urllib3.PoolManager:
    """Connections that stay open: tests ask often, and a handshake takes longer than most answers."""
    return urllib3.PoolManager(ca_certs=str(ca_file), maxsize=8, retries=False, timeout=90)


def write_kubeconfig(path: Path, server: str, token: str, ca: bytes) -> None:
    """An administrator's kubeconfig; it holds all it needs, so it can be copied anywhere."""
    text = f"""\
apiVersion: v1
kind: Config
current-context: gitsync
clusters:
- name: gitsync
  cluster:
    server: {server}
    certificate-authority-data: {base64.b64encode(ca).decode()}
users:
- name: admin
  user:
    token: {token}
contexts:
- name: gitsync
  context:
    cluster: gitsync
    user: admin
"""
    path.touch(mode=0o600)
    path.write_text(text)
