"""Commits as the reader sees them: a tree of files, and blobs to be read by their id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from gitsync.api import CommitInfo
from gitsync.manifests import Desired, ManifestReader
from gitsync.tree import TreeEntry

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {}}}\n"


def config_map(name: str) -> str:
    return CONFIG_MAP.format(name)


class Repository:
    """Files, changed between commits; `asked` lists the paths whose content was read since the last look at it.
    `unreadable` are submodules and links that lead nowhere, each with its reason."""

    def __init__(self, files: Mapping[str, str | bytes], *, json_manifests: bool = False) -> None:
        self.files = {path: data if isinstance(data, bytes) else data.encode() for path, data in files.items()}
        self.unreadable: dict[str, str] = {}
        self._asked: list[str] = []
        self.reader = ManifestReader(json_manifests=json_manifests)

    def change(self, files: Mapping[str, str | None]) -> None:
        for path, data in files.items():
            if data is None:
                del self.files[path]
            else:
                self.files[path] = data.encode()

    def entries(self) -> list[TreeEntry]:
        files = [TreeEntry(path, blob_id(data), len(data)) for path, data in self.files.items()]
        unreadable = [TreeEntry(path, "", 0, reason) for path, reason in self.unreadable.items()]
        return sorted(files + unreadable, key=lambda entry: entry.path)

    async def read_blobs(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        assert len(set(blob_ids)) == len(blob_ids)
        found = {blob_id(data): data for data in self.files.values()}
        self._asked += [path for path, data in sorted(self.files.items()) if blob_id(data) in blob_ids]
        return {wanted: found[wanted] for wanted in blob_ids}

    async def desired(self, commit: str = "c1", root: str = "") -> Desired:
        return await self.reader.read(CommitInfo(commit), self.entries(), self.read_blobs, root)

    def asked(self) -> list[str]:
        asked, self._asked = self._asked, []
        return asked


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def names(desired: Desired) -> list[str]:
    return [key.name for key in desired.objects]


def errors(desired: Desired) -> list[str]:
    return [str(error) for error in desired.errors]
