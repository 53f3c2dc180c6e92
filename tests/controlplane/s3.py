"""A real S3 server (versitygw) on loopback: TLS, one user's keys, buckets that are directories."""

from __future__ import annotations

import hashlib
import ssl
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from yarl import URL

from gitsync.s3 import Keys
from gitsync.s3.signature import encoded, signed
from tests.controlplane.certificates import write_certificates
from tests.controlplane.processes import Process, free_ports, listens

KEYS: Final = Keys("reader", "read-s3cret-word")
REGION: Final = "eu-test-1"


class S3:
    """A server in a directory of its own, on a free port."""

    def __init__(self, directory: Path, binary: Path, region: str = REGION) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._binary, self._region = directory, binary, region
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

    def start(self, timeout: float = 30) -> S3:
        """Raises StartError."""
        (self._directory / "objects").mkdir(exist_ok=True)
        (self._directory / "sidecar").mkdir(exist_ok=True)
        command = [
            str(self._binary),
            f"--port=127.0.0.1:{self.port}",
            f"--access={KEYS.access}",
            f"--secret={KEYS.secret}",
            f"--region={self._region}",
            f"--cert={self.certificates.server_certificate}",
            f"--key={self.certificates.server_key}",
            f"--access-log={self._directory / 'requests.log'}",
            "posix",
            f"--sidecar={self._directory / 'sidecar'}",  # not every file system has extended attributes
            str(self._directory / "objects"),
        ]
        self._process = Process("versitygw", command, self._directory / "s3.log", outlive_parent=False)
        self._process.wait_until(lambda: listens(self.port), time.monotonic() + timeout)
        return self

    def stop(self) -> None:
        """End it. What it holds is there when it is started again, on the same port."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def make(self, bucket: str) -> None:
        """A new bucket."""
        self._request("PUT", bucket, "", b"")

    def put(self, bucket: str, key: str, content: str | bytes) -> str:
        """Its ETag."""
        return self._request("PUT", bucket, key, content.encode() if isinstance(content, str) else content)

    def delete(self, bucket: str, key: str) -> None:
        self._request("DELETE", bucket, key, b"")

    @property
    def requests(self) -> str:
        """What it was asked for: a line for each request."""
        log = self._directory / "requests.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _request(self, method: str, bucket: str, key: str, body: bytes) -> str:
        path = f"/{bucket}/{encoded(key, '/')}" if key else f"/{bucket}"
        url = URL(f"https://{self.host}{path}", encoded=True)
        payload = hashlib.sha256(body).hexdigest()
        authorization, headers = signed(method, url, self._region, KEYS, datetime.now(UTC), payload)
        request = urllib.request.Request(
            str(url), body, {**headers, "Authorization": authorization, "Content-Type": ""}, method=method
        )
        context = ssl.create_default_context(cadata=self.ca)
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return str(answer.headers.get("ETag", "")).strip('"')
