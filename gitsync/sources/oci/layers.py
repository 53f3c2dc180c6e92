"""The files of layers, as trees."""

from __future__ import annotations

import asyncio
from functools import partial

from gitsync.sources.composition import Composition
from gitsync.sources.oci.spec import ArtifactSpec, OciArtifact
from gitsync.sources.unpacking import Pull, Unpacker
from gitsync.tree import Tree
from gitsync.treememory import TreeMemory

#: The repository and who we are there, a layer of it, whether it is taken as it is, and else what is left out of it.
_Key = tuple[str, str, bool, str | None]


def key_of(spec: ArtifactSpec, artifact: OciArtifact) -> _Key:
    """What makes one tree another than the other. A tree that has to be fetched again is, by whoever may do so."""
    return spec.repository.id, artifact.digest, spec.copies, spec.ignore


class LayerTrees:
    """Has layers unpacked. ``memory`` keeps their trees."""

    def __init__(self, unpacker: Unpacker, memory: TreeMemory) -> None:
        self._unpacker = unpacker
        self._memory = memory

    def known(self, spec: ArtifactSpec, artifact: OciArtifact) -> Tree | None:
        """What ``of`` has found before, as long as it is remembered."""
        return self._memory.get(key_of(spec, artifact))

    async def of(self, spec: ArtifactSpec, artifact: OciArtifact, pull: Pull) -> Tree:
        """The files of an artifact's layer, without what is to be left out.

        Raises: ArtifactError for a layer that holds no files, or patterns that cannot be read; NoRoom; what ``pull``
        raises.
        """
        repository = spec.repository
        digest = artifact.digest.removeprefix("sha256:")
        layer = await self._unpacker.layer(digest, str(repository), repository.owner, pull)
        whole = Composition(Tree(artifact.manifest, layer.entries, layer.read), layer.entries)
        if not spec.copies:
            rules = await whole.rules(spec.ignore)
            await asyncio.to_thread(whole.without, rules.ignored)
        making = partial(asyncio.to_thread, whole.tree, layer.places)
        return await self._memory.make(key_of(spec, artifact), repository.owner, making)
