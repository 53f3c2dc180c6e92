"""The .sourceignore files of a tree, read once as long as they stay the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from gitsync.manifests.ignore import IGNORE_FILE, IgnoreRules
from gitsync.manifests.limits import MAX_IGNORE_BYTES, MAX_IGNORE_FILES
from gitsync.tree import Entries, TreeEntry

ReadBlobs = Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]


class RulesReader:
    """Reads the rules of one tree after another, and keeps those of the last."""

    def __init__(self) -> None:
        self._rules = IgnoreRules({})
        self._files: tuple[tuple[str, str], ...] = ()

    async def read(self, entries: Sequence[TreeEntry], read_blobs: ReadBlobs) -> IgnoreRules:
        """The rules of a tree with these files. What ``read_blobs`` raises is passed on."""
        files = await asyncio.to_thread(_ignore_files, entries)
        identity = tuple((entry.path, entry.blob_id or entry.unreadable) for entry in files)
        if identity == self._files:
            return self._rules
        too_many = files[MAX_IGNORE_FILES:]
        files = files[:MAX_IGNORE_FILES]
        readable = [entry for entry in files if not entry.unreadable]
        small = list({entry.blob_id for entry in readable if entry.size <= MAX_IGNORE_BYTES})
        blobs = await read_blobs(small) if small else {}
        too_large = b" " * (MAX_IGNORE_BYTES + 1)
        texts = {entry.path: blobs.get(entry.blob_id, too_large) for entry in readable}
        rules = await asyncio.to_thread(IgnoreRules, texts)
        for entry in files:
            if entry.unreadable:
                rules.refuse(entry.path, 0, entry.unreadable)
        if too_many:
            rules.broken.add("")
            rules.refuse(too_many[0].path, 0, f"more than {MAX_IGNORE_FILES} {IGNORE_FILE} files")
        self._rules, self._files = rules, identity
        return rules


def _ignore_files(entries: Sequence[TreeEntry]) -> list[TreeEntry]:
    """Those among very many: of all others nothing but the path is looked at."""
    paths = entries.paths if isinstance(entries, Entries) else (entry.path for entry in entries)
    found = [number for number, path in enumerate(paths) if path.endswith(IGNORE_FILE) and _is_ignore_file(path)]
    return [entries[number] for number in found]


def _is_ignore_file(path: str) -> bool:
    return path == IGNORE_FILE or path.endswith("/" + IGNORE_FILE)
