"""The files of a chart's directory in a tree, read as Helm reads a folder: symbolic links followed, ``.helmignore``
honoured, and with the bounds of an archive."""

from __future__ import annotations

from collections.abc import Sequence

from gitsync.charts.archive import MAX_FILE, MAX_FILES, MAX_UNPACKED
from gitsync.charts.ignore import HelmIgnore
from gitsync.errors import ChartError
from gitsync.tree import Tree, TreeEntry

_IGNORE = ".helmignore"


async def chart_files(tree: Tree, path: str) -> dict[str, bytes]:
    """The files by their paths below the directory ``path``; those that ``.helmignore`` leaves out are not read.

    Raises: ArtifactPathMissing when there is no such directory; ChartError for a file that cannot be read (a symbolic
    link that leads out of the repository, say) and for more than Helm takes; what the tree raises.
    """
    prefix = f"{path}/" if path else ""
    entries = {entry.path.removeprefix(prefix): entry for entry in await tree.entries(path)}
    rules = HelmIgnore(await _ignore_text(tree, entries.get(_IGNORE)))
    kept = {name: entries[name] for name in rules.kept(sorted(entries))}
    _check(kept, path)
    contents = await tree.read(list({entry.blob_id for entry in kept.values()}))
    return {name: contents[entry.blob_id] for name, entry in kept.items()}


async def read_files(tree: Tree, path: str, names: Sequence[str]) -> dict[str, bytes]:
    """Some files of the directory ``path`` by their paths in it, those that are there.

    Raises: ChartError for one that cannot be read or is too large; what the tree raises.
    """
    found = {name: await tree.file(f"{path}/{name}" if path else name) for name in names}
    wanted = {name: entry for name, entry in found.items() if entry is not None}
    _check(wanted, path)
    contents = await tree.read(list({entry.blob_id for entry in wanted.values()}))
    return {name: contents[entry.blob_id] for name, entry in wanted.items()}


async def _ignore_text(tree: Tree, entry: TreeEntry | None) -> str:
    if entry is None or entry.unreadable or entry.size > MAX_FILE:
        return ""
    return (await tree.read([entry.blob_id]))[entry.blob_id].decode("utf-8", "replace")


def _check(files: dict[str, TreeEntry], path: str) -> None:
    for entry in files.values():
        if entry.unreadable:
            raise ChartError(f"{entry.path} is {entry.unreadable}", chart=path)
        if entry.size > MAX_FILE:
            raise ChartError(f"{entry.path} is larger than {MAX_FILE // 2**20} MiB", chart=path)
    if len(files) > MAX_FILES:
        raise ChartError(f"{path or 'the repository'} has more than {MAX_FILES} files", chart=path)
    if sum(entry.size for entry in files.values()) > MAX_UNPACKED:
        raise ChartError(f"{path or 'the repository'} is larger than {MAX_UNPACKED // 2**20} MiB", chart=path)
