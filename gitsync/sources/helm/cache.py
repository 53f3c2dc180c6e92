"""Reduced indexes on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from gitsync.sources.helm.index import Index, lines_of
from gitsync.sources.store import Store

_FOLDER = "indexes"


def read_index(store: Store, repository: str, url: str) -> Index | None:
    """The index that ``keep_index`` wrote for a repository, found by RepositorySpec.id: its URL is not written to
    disk. Blocks."""
    body = store.text(_FOLDER, f"{repository}.jsonl")
    if body is None:
        return None
    try:
        lines = lines_of(body)
        head = json.loads(next(lines))
        if head["sha256"] != _digest(lines):
            return None
        return Index(url, head["revision"], body, head["charts"], head["etag"], head["modified"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_index(store: Store, repository: str, index: Index) -> None:
    """Writes the index: a line about the index itself, then one for each chart. Blocks."""
    head = {
        "revision": index.revision,
        "etag": index.etag,
        "modified": index.modified,
        "charts": index.count,
        "sha256": _digest(lines_of(index.lines)),
    }
    store.keep_text(_FOLDER, f"{repository}.jsonl", _written(head, index))


def _written(head: dict[str, object], index: Index) -> Iterator[bytes]:
    yield json.dumps(head).encode() + b"\n"
    yield from index.lines.pieces()


def _digest(lines: Iterator[bytes]) -> str:
    made = hashlib.sha256()
    for line in lines:
        made.update(line)
        made.update(b"\n")
    return made.hexdigest()
