"""A cluster as tests see it: how to reach it, by HTTPS, kubectl and helm."""

from __future__ import annotations

import base64
import functools
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.controlplane.errors import ApiError, CommandError, ControlPlaneError


@dataclass(frozen=True)
class Cluster:
    """How to reach an API server as an administrator."""

    kubeconfig: Path
    server: str
    token: str
    ca_file: Path

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request to the API server; the JSON it answers, or {} for an answer that is not JSON.

        Raises ApiError for an error status and OSError when the server is not there.
        """
        request = urllib.request.Request(
            f"{self.server}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, context=_trusting(self.ca_file), timeout=60) as response:
                answer = response.read()
                is_json = response.headers.get_content_type() == "application/json"
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(method, path, error.code, error.read().decode(errors="replace")) from None
        parsed: dict[str, Any] = json.loads(answer) if is_json else {}
        return parsed

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
            env={**os.environ, **(self.environment or {}), "KUBECONFIG": str(self.kubeconfig)},
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
def _trusting(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))


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
