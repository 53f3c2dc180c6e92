"""One artifact of an ArtifactGenerator: a tree of files of other trees, of files extracted from archives, and of files
merged from several. Only extracted files are stored: all others are read from their own trees."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from gitsync.api.generator import OutputArtifact
from gitsync.charts.workers import Workers
from gitsync.errors import ArtifactError
from gitsync.manifests.ignore import IgnoreRules
from gitsync.sources.composition import overlaid
from gitsync.sources.generator.copying import CopiedFile, Part, archives, copied
from gitsync.sources.generator.listing import Listing
from gitsync.sources.unpacking import Unpacker
from gitsync.spool import Body
from gitsync.tree import ReadBlobs, Tree, TreeEntry
from gitsync.treememory import TreeMemory
from gitsync.untar import MAX_UNPACKED

#: Bytes of the files that one file is merged from; and archives that are extracted into one artifact.
MAX_MERGED_SIZE = 4 << 20
MAX_ARCHIVES = 100


@dataclass(frozen=True)
class Assembler:
    """Makes the trees of artifacts on behalf of a namespace, ``owner``. ``memory`` is for these trees."""

    owner: str
    unpacker: Unpacker
    memory: TreeMemory

    async def tree(self, artifact: OutputArtifact, sources: Mapping[str, Tree]) -> Tree:
        """The files of an artifact, without what Flux leaves out of every one; ``sources`` by their aliases.

        Raises: ArtifactError for what cannot be made; NoRoom; what the trees raise.
        """
        listings = {alias: Listing(await tree.entries()) for alias, tree in sources.items()}
        trees = {**sources, **await self._extracted(artifact, sources, listings)}
        found = {origin: Listing(await tree.entries()) for origin, tree in trees.items() if origin not in sources}
        assembly = _Assembly(artifact, trees, listings, found)
        merged = await self._merged(assembly)
        making = partial(asyncio.to_thread, assembly.tree, merged)
        return await self.memory.make(None, self.owner, making)

    async def _extracted(
        self, artifact: OutputArtifact, sources: Mapping[str, Tree], listings: Mapping[str, Listing]
    ) -> dict[str, Tree]:
        """The trees of the archives to extract, by the name (``origin``) that their files have."""
        if all(it.strategy != "Extract" for it in artifact.copy_):
            return {}
        wanted = await asyncio.to_thread(archives, artifact, listings)
        if len(wanted) > MAX_ARCHIVES:
            raise ArtifactError(f"artifact {artifact.name!r} extracts more than {MAX_ARCHIVES} archives")
        return {origin: await self._archive(sources[part.origin], part) for origin, part in wanted.items()}

    async def _archive(self, source: Tree, part: Part) -> Tree:
        """The files of an archive, which are unpacked once for all artifacts of the namespace."""
        key = "archive", self.owner, part.entry.blob_id
        if (known := self.memory.get(key)) is not None:
            return known
        where, limit = f"@{part.origin}/{part.entry.path}", MAX_UNPACKED
        if part.entry.size > limit:
            raise ArtifactError(f"{where}: the archive is larger than {limit >> 20} MiB", hint="leave files out of it")

        async def pull() -> Body:
            contents = await source.read([part.entry.blob_id])
            return await self.unpacker.workers.spool.of(contents[part.entry.blob_id])

        archive = await self.unpacker.archive((await pull()).sha256, where, self.owner, pull)
        making = partial(
            asyncio.to_thread, Tree, archive.digest, archive.entries, archive.read, None, (archive.places,)
        )
        return await self.memory.make(key, self.owner, making)

    async def _merged(self, assembly: _Assembly) -> _Merged:
        """The merged files; made one after the other."""
        readers = {origin: tree.reader for origin, tree in assembly.trees.items()}
        merged = _Merged(readers, self.unpacker.workers, self.owner)
        if any(it.strategy == "Merge" for it in assembly.artifact.copy_):
            async with self.memory.making:
                files = await asyncio.to_thread(assembly.merged)
            for file in files:
                await merged.add(file)
        return merged


@dataclass(frozen=True)
class _Assembly:
    """An artifact as its sources are now, with the files of archives in them."""

    artifact: OutputArtifact
    trees: Mapping[str, Tree]
    sources: Mapping[str, Listing]
    extracted: Mapping[str, Listing]

    def files(self) -> list[CopiedFile]:
        """All of them. Takes long: for threads."""
        rules = IgnoreRules.of_artifact({}, None)
        return [it for it in copied(self.artifact, self.sources, self.extracted) if not rules.ignored(it.entry.path)]

    def merged(self) -> list[CopiedFile]:
        """The files that are merged from several. Raises: ArtifactError for those too large, or unreadable."""
        found = [file for file in self.files() if file.over]
        for file in found:
            entries = [file.entry, *(part.entry for part in file.over)]
            why = next((f"{it.path!r} is {it.unreadable}" for it in entries if it.unreadable), "")
            if not why and sum(it.size for it in entries) > MAX_MERGED_SIZE:
                why = f"the files are larger than {MAX_MERGED_SIZE >> 20} MiB together"
            if why:
                raise ArtifactError(f"artifact {self.artifact.name!r}: {file.entry.path!r} cannot be merged: {why}")
        return found

    def tree(self, merged: _Merged) -> Tree:
        """All of it as a tree. Takes long: for threads."""
        numbers = {origin: number for number, origin in enumerate(self.trees)}
        files = [
            (len(numbers), merged.entries[it.entry.path]) if it.over else (numbers[it.origin], it.entry)
            for it in self.files()
        ]
        return overlaid("", [*(tree.reader for tree in self.trees.values()), merged], files)


@dataclass(frozen=True)
class _Merged:
    """Merged files: each is made once for its digest, and again when it is read. ``readers`` read the files that they
    are merged from."""

    readers: Mapping[str, ReadBlobs]
    workers: Workers
    owner: str
    #: The merged files by their paths; and what each is merged from, by its id.
    entries: dict[str, TreeEntry] = field(default_factory=dict)
    files: dict[str, CopiedFile] = field(default_factory=dict)

    async def add(self, file: CopiedFile) -> None:
        """Merge one. Raises: ArtifactError; what reading raises."""
        content = await self._merge(file)
        entry = TreeEntry(file.entry.path, hashlib.sha256(content).hexdigest(), len(content))
        self.entries[entry.path], self.files[entry.blob_id] = entry, file

    async def __call__(self, blob_ids: Sequence[str]) -> dict[str, bytes]:
        """See ReadBlobs."""
        return {blob_id: await self._merge(self.files[blob_id]) for blob_id in blob_ids}

    async def _merge(self, file: CopiedFile) -> bytes:
        parts = [(file.entry.path, await self._content(file.origin, file.entry))]
        for origin, entry in file.over:
            parts.append((f"@{origin}/{entry.path}", await self._content(origin, entry)))
        return await self.workers.merge_yaml(parts, self.owner)

    async def _content(self, origin: str, entry: TreeEntry) -> bytes:
        return (await self.readers[origin]([entry.blob_id]))[entry.blob_id]
