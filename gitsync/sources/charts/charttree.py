"""A chart as a tree: the files of its archive, in a folder of the chart's name, as Flux's HelmChart has them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial

from gitsync.api.identity import CommitInfo
from gitsync.charts import Chart
from gitsync.sources.charts.chart import ChartArtifact
from gitsync.sources.composition import overlaid
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.unpacking import Unpacked, Unpacker
from gitsync.spool import Body
from gitsync.tree import Tree, TreeEntry
from gitsync.treememory import TreeMemory

_SHOWN = 12


class ChartTrees:
    """Has charts unpacked. ``memory`` keeps their trees."""

    def __init__(self, unpacker: Unpacker, memory: TreeMemory) -> None:
        self._unpacker = unpacker
        self._memory = memory

    async def of(self, chart: ChartArtifact, owner: str, url: str = "") -> TreeArtifact:
        """The files of a chart, read on behalf of a namespace, ``owner``; its version is the revision.

        Raises: ArtifactError for an archive with links in it, or more files than an artifact may have; NoRoom; what
        loading the chart raises.
        """
        commit = CommitInfo(chart.content, subject=f"chart {chart.name} {chart.version}")
        key = "chart", owner, chart.content
        tree = self._memory.get(key)
        if tree is None:
            tree = await self._unpacked(chart, owner, key)
        return TreeArtifact(chart.version, commit, url or f"chart/{chart.name}", tree)

    async def _unpacked(self, chart: ChartArtifact, owner: str, key: tuple[str, str, str]) -> Tree:
        loaded = await chart.load()

        async def pull() -> Body:
            return (await chart.load()).packed.archive

        where = f"chart {chart.name} {chart.version}"
        archive = await self._unpacker.archive(loaded.packed.archive.sha256, where, owner, pull)
        making = partial(asyncio.to_thread, _tree, archive, chart.name, _instead(loaded))
        return await self._memory.make(key, owner, making)


def _instead(chart: Chart) -> dict[str, bytes]:
    """Files of a chart that differ from those in its archive, by path: as Flux has them, which packs a chart again."""
    found = {}
    if chart.packed.values is not None:
        found["values.yaml"] = chart.packed.values
    if chart.packed.build:
        metadata = {**chart.metadata, "version": chart.version}
        if metadata.get("apiVersion") != "v2":  # of these they stand in requirements.yaml
            metadata.pop("dependencies", None)
        found["Chart.yaml"] = json.dumps(metadata, indent=1).encode()
    return found


def _tree(archive: Unpacked, name: str, instead: Mapping[str, bytes]) -> Tree:
    contents = {hashlib.sha256(data).hexdigest(): data for data in instead.values()}
    files = []
    for entry in archive.entries:
        inside = entry.path.partition("/")[2]
        if inside not in instead:
            files.append((0, entry._replace(path=f"{name}/{inside}" if inside else entry.path)))
    for path, data in instead.items():
        files.append((1, TreeEntry(f"{name}/{path}", hashlib.sha256(data).hexdigest(), len(data))))

    async def read(blob_ids: Sequence[str]) -> dict[str, bytes]:
        return {blob_id: contents[blob_id] for blob_id in blob_ids}

    return overlaid("", [archive.read, read], files)
