"""The files of a chart's directory in a tree, read as Helm reads a folder: symbolic links followed, ``.helmignore``
honoured, and with the bounds of an archive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from gitsync.charts.ignore import HelmIgnore
from gitsync.charts.source import packed_file, packed_names
from gitsync.errors import ChartError
from gitsync.helm.archive import MAX_FILE, MAX_FILES, MAX_UNPACKED, Builder
from gitsync.spool import Body, Spool
from gitsync.text import shorten
from gitsync.tree import Entries, Tree, TreeEntry

_CHART = "Chart.yaml"
_IGNORE = ".helmignore"
_LONGEST_FOUND = 200
#: Bytes that are read at a time.
_BATCH = 4 << 20
_IGNORED = "name what templates do not read in the chart's .helmignore"


def chart_folder(entries: Entries, where: str) -> str:
    """The one folder of an artifact that is the chart, "" for the artifact itself. As in an archive, there must be
    nothing beside it. Takes long: call it in a thread. ``where`` is the artifact, for messages.

    Raises: ChartError when there is none.
    """
    if entries.find(_CHART) is not None:
        return ""
    tops = list(dict.fromkeys(path.partition("/")[0] for path in entries.paths))
    if len(tops) == 1 and entries.find(f"{tops[0]}/{_CHART}") is not None:
        return tops[0]
    hint = f"have it hold one folder with {_CHART} in it, and nothing beside, as a chart's archive does"
    if any(path.endswith((".tgz", ".tar.gz")) for path in entries.paths):
        hint += "; an archive is unpacked by strategy Extract"
    found = shorten(", ".join(map(repr, tops)), _LONGEST_FOUND) or "nothing"
    raise ChartError(f"{where} holds no chart, but {found}", hint=hint)


async def chart_files(tree: Tree, path: str) -> dict[str, TreeEntry]:
    """The files by their paths below the directory ``path``, without those that ``.helmignore`` leaves out.

    Raises: ArtifactPathMissing when there is no such directory; ChartError for a file that cannot be read (a symbolic
    link that leads out of the repository, say) and for more than Helm takes; what the tree raises.
    """
    prefix = f"{path}/" if path else ""
    entries = {entry.path.removeprefix(prefix): entry for entry in await tree.entries(path)}
    rules = HelmIgnore((await _ignore_text(tree, entries.get(_IGNORE))).decode("utf-8", "replace"))
    kept = {name: entries[name] for name in rules.kept(sorted(entries))}
    _check(kept, path)
    return kept


async def some_files(tree: Tree, path: str, names: Sequence[str]) -> dict[str, TreeEntry]:
    """Some files of the directory ``path`` by their paths in it, those that are there.

    Raises: ChartError for one that cannot be read or is too large; what the tree raises.
    """
    found = {name: await tree.file(f"{path}/{name}" if path else name) for name in names}
    wanted = {name: entry for name, entry in found.items() if entry is not None}
    _check(wanted, path)
    return wanted


async def packed(
    tree: Tree, files: Mapping[str, TreeEntry], spool: Spool, archives: Mapping[str, Body] | None = None
) -> Body:
    """Files of a chart's directory packed into an archive, with ``archives`` added; they are never all in memory.

    Raises: ChartError when they are no chart; NoRoom; what the tree raises.
    """
    archives = archives or {}
    ignore = await _ignore_text(tree, files.get(_IGNORE))
    names = packed_names([*files, *archives], ignore)
    draft = spool.draft()
    builder = Builder(draft)

    def add(batch: Sequence[str], contents: Mapping[str, bytes]) -> None:
        for name in batch:
            data = archives[name].read() if name in archives else contents[files[name].blob_id]
            builder.add(packed_file(name, data))

    for batch in _batches(names, files):
        contents = await tree.read(list({files[name].blob_id for name in batch if name not in archives}))
        await asyncio.to_thread(add, batch, contents)
    await asyncio.to_thread(builder.close)
    return draft.body()


def _batches(names: Sequence[str], files: Mapping[str, TreeEntry]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for name in names:
        batch.append(name)
        size += files[name].size if name in files else 0
        if size > _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _ignore_text(tree: Tree, entry: TreeEntry | None) -> bytes:
    if entry is None or entry.unreadable or entry.size > MAX_FILE:
        return b""
    return (await tree.read([entry.blob_id]))[entry.blob_id]


def _check(files: dict[str, TreeEntry], path: str) -> None:
    for entry in files.values():
        if entry.unreadable:
            raise ChartError(
                f"{entry.path} is {entry.unreadable}", chart=path, hint=f"put a plain file there, or {_IGNORED}"
            )
        if entry.size > MAX_FILE:
            raise ChartError(f"{entry.path} is larger than {MAX_FILE // 2**20} MiB", chart=path, hint=_IGNORED)
    what = path or "the repository"
    if len(files) > MAX_FILES:
        raise ChartError(f"{what} has more than {MAX_FILES} files", chart=path, hint=_IGNORED)
    if sum(entry.size for entry in files.values()) > MAX_UNPACKED:
        raise ChartError(f"{what} is larger than {MAX_UNPACKED // 2**20} MiB", chart=path, hint=_IGNORED)
