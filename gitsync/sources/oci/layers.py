"""The files of layers, as trees."""

from __future__ import annotations

import asyncio
from functools import partial

from gitsync.sources.composition import Composition
from gitsync.sources.oci.spec import ArtifactSpec, OciArtifact
from gitsync.sources.unpacking import Pull, Unpacker
from gitsync.tree import Tree
from gitsync.treememory import TreeMemory

#: RepositorySpec.id, which has the credentials in it; the layer's digest; whether the layer is taken as it is; the
#: patterns of what is left out.
_Key = tuple[str, str, bool, str | None]


def key_of(spec: ArtifactSpec, artifact: OciArtifact) -> _Key:
    """The cache's key of a layer's tree. Since it has the credentials in it, a layer that must be fetched again is
    fetched with those of the source that asks."""
    return spec.repository.id, artifact.digest, spec.copies, spec.ignore


class LayerTrees:
    """Unpacks layers to trees, and keeps these in ``memory``."""

    def __init__(self, unpacker: Unpacker, memory: TreeMemory) -> None:
        self._unpacker = unpacker
        self._memory = memory

    def known(self, spec: ArtifactSpec, artifact: OciArtifact) -> Tree | None:
        """The tree that ``of`` has returned before, as long as it is remembered."""
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
