"""Trees of files that are written in a test, and builds of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent

from gitsync.api import CommitInfo
from gitsync.build import Builder, BuildSpec
from gitsync.kustomize import Kustomizer
from gitsync.manifests import Desired
from gitsync.tree import Tree, TreeEntry

COMMIT = CommitInfo("0123456789abcdef0123456789abcdef01234567", "Ann", "a test")


class Counting(Kustomizer):
    """A kustomizer that counts its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: list[str] = []

    async def build(
        self, files: Mapping[str, str | bytes], directory: str = "", owner: str = "", *, secret: bool = False
    ) -> str:
        self.runs.append(directory)
        return await super().build(files, directory, owner, secret=secret)


class Reading:
    """Returns blobs, and notes which were read."""

    def __init__(self, blobs: Mapping[str, bytes]) -> None:
        self._blobs = blobs
        self.asked: list[str] = []

    async def __call__(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        self.asked += blob_ids
        return {blob_id: self._blobs[blob_id] for blob_id in blob_ids}


def tree(files: Mapping[str, str | bytes], unreadable: Mapping[str, str] | None = None) -> Tree:
    """A tree of these files; texts are dedented."""
    contents = {path: dedent(text).encode() if isinstance(text, str) else text for path, text in files.items()}
    blobs = {hashlib.sha1(data).hexdigest(): data for data in contents.values()}
    entries = [TreeEntry(path, hashlib.sha1(data).hexdigest(), len(data)) for path, data in contents.items()]
    entries += [TreeEntry(path, "", 0, why) for path, why in (unreadable or {}).items()]
    return Tree(COMMIT.id, entries, Reading(blobs))


async def built(
    files: Mapping[str, str | bytes], spec: BuildSpec | None = None, *, path: str = "", builder: Builder | None = None
) -> Desired:
    """The result of a build of a directory of these files."""
    builder = builder or Builder(Kustomizer())
    return await builder.build(COMMIT, tree(files), spec or BuildSpec(path=path))


def written(files: Mapping[str, str | bytes], directory: Path) -> Path:
    """Writes the files to disk."""
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(dedent(content).encode() if isinstance(content, str) else content)
    return directory
