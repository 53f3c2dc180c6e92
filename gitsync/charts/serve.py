"""A small chart repository server over HTTP, for `gitsync demo`, the tests and the benchmarks.

It packages folders of charts in memory and serves each repository's index with validators, as real ones do.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from gitsync.charts.source import archive_from_files
from gitsync.helm import archive, native


def files_below(folder: Path) -> dict[str, bytes]:
    """The regular files below a folder by their path in it; links are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


class ChartServer:
    """Serves repositories (path -> chart archives) on loopback, at ``url``/<path>. Use as an async context manager.

    ``requests`` counts what was asked by path; ``publish`` replaces a repository while it runs.
    """

    def __init__(
        self,
        repositories: Mapping[str, Iterable[Path | bytes]],
        *,
        username: str = "",
        password: str = "",
        port: int = 0,
    ) -> None:
        """Folders of charts are packaged; bytes are taken as archives.

        Raises: ChartError for what is no chart.
        """
        self.requests: Counter[str] = Counter()
        self._files: dict[str, bytes] = {}
        self._port = port
        credentials = base64.b64encode(f"{username}:{password}".encode())
        self._authorization = b"Basic " + credentials if username else None
        self._runner: web.AppRunner | None = None
        for path, charts in repositories.items():
            self.publish(path, charts)

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    def publish(self, path: str, charts: Iterable[Path | bytes]) -> None:
        """Makes ``charts`` the content of a repository; blocks while packaging."""
        for old in [name for name in self._files if name.startswith(f"/{path}/")]:
            del self._files[old]
        entries: dict[str, list[dict[str, Any]]] = {}
        for source in charts:
            data = source if isinstance(source, bytes) else archive_from_files(files_below(source))
            digest = hashlib.sha256(data).hexdigest()
            metadata = _metadata(data)
            name = f"{metadata['name']}-{metadata['version']}.tgz"
            self._files[f"/{path}/{name}"] = data
            entries.setdefault(metadata["name"], []).append(
                {**metadata, "urls": [name], "digest": digest, "created": "2024-01-01T00:00:00Z"}
            )
        index = {"apiVersion": "v1", "generated": "2024-01-01T00:00:00Z", "entries": entries}
        self._files[f"/{path}/index.yaml"] = json.dumps(index, indent=1).encode()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests[request.path] += 1
        if self._authorization is not None and not self._authorized(request):
            return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
        data = self._files.get(request.path)
        if data is None:
            return web.Response(status=404)
        etag = hashlib.sha256(data).hexdigest()[:32]
        if request.if_none_match and etag in {tag.value for tag in request.if_none_match}:
            return web.Response(status=304, headers={"ETag": f'"{etag}"'})
        return web.Response(body=data, headers={"ETag": f'"{etag}"'}, content_type="application/octet-stream")

    def _authorized(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        return self._authorization is not None and hmac.compare_digest(given.encode(), self._authorization)


def _metadata(data: bytes) -> dict[str, Any]:
    """Chart.yaml of an archive. Raises: ChartError, ValuesError."""
    files = {file.name: file.data for file in archive.read(data)}
    return native.load_yaml(files.get("Chart.yaml", b"").decode())
