"""In which order many Kustomizations look at a commit that is new to all of them."""

from __future__ import annotations

import asyncio
from typing import Final

from gitsync.api.identity import ObjectKey
from gitsync.runtime.fairslots import FairSlots
from gitsync.sources.resolve.treeartifact import TreeArtifact

#: Seconds between two Kustomizations whose directories have not changed: the processor time of one look.
LOOK: Final = 0.005


class Turns:
    """Kustomizations whose own directories have changed go first. The others go one after the other, and most of them
    find nothing new; but a base outside of their directory may have changed, so their turn is put off, not left out."""

    def __init__(self) -> None:
        self._looks = FairSlots(1, "looks at another revision")
        #: By Kustomization, the revision that was last built, and the digest of the directory in it.
        self._built: dict[ObjectKey, tuple[str, str | None]] = {}
        #: Those whose wait was cut short by the next commit. They do not wait again, or frequent commits would keep
        #: them waiting for ever.
        self._cut_short: set[ObjectKey] = set()

    async def wait(self, key: ObjectKey, artifact: TreeArtifact, path: str) -> None:
        """Return when it is a Kustomization's turn to build the directory ``path`` of this artifact: at once, unless
        the directory is the same as at the revision before."""
        digest = await artifact.tree.directory_digest(path)
        revision, before = self._built.get(key, ("", None))
        is_as_it_was = digest is not None and digest == before
        if is_as_it_was and revision != artifact.revision and key not in self._cut_short:
            self._cut_short.add(key)
            async with self._looks.held(key.namespace):
                await asyncio.sleep(LOOK)
        self._cut_short.discard(key)
        self._built[key] = artifact.revision, digest

    def forget(self, key: ObjectKey) -> None:
        """It is gone."""
        self._built.pop(key, None)
        self._cut_short.discard(key)
