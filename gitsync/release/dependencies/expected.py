"""What commits are about to apply: HelmReleases and Kustomizations that are not there yet, or not as they are to be.
State only; no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release


class ExpectedChanges:
    """The expected objects of all syncs. ``find`` gives a HelmRelease as it is known."""

    def __init__(self, find: Callable[[ObjectKey], Manifest | None]) -> None:
        self._find = find
        # For each sync under way, the objects that it has yet to apply.
        self._expected: list[set[ObjectKey]] = []
        self._no_release_expected = asyncio.Event()
        self._no_release_expected.set()
        #: Kustomizations that were applied and that the watch has yet to show, with the generations that they have now.
        self._brought: dict[ObjectKey, int] = {}

    def __contains__(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release or Kustomization, or just has."""
        return key in self._brought or any(key in expected for expected in self._expected)

    @property
    def is_any(self) -> bool:
        """Whether a sync has something yet to apply."""
        return any(self._expected)

    def begin(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """A sync is about to apply these. Returns a set for ``arrived`` and ``end``."""
        expected = set(keys)
        self._expected.append(expected)
        self.look()
        return expected

    def arrived(self, expected: set[ObjectKey], key: ObjectKey) -> None:
        """The sync has applied one of its objects, or could not."""
        expected.discard(key)
        self.look()

    def end(self, expected: set[ObjectKey]) -> None:
        """The sync is over."""
        self._expected = [other for other in self._expected if other is not expected]
        self.look()

    def look(self) -> None:
        """Work out anew whether HelmReleases are expected; call it after one of them has changed."""
        found = (self._find(key) for expected in self._expected for key in filter(is_release, expected))
        # One that is being deleted can only be applied once it is gone; what keeps it may be waiting here, so it does
        # not count.
        if all(manifest is not None and "deletionTimestamp" in manifest["metadata"] for manifest in found):
            self._no_release_expected.set()
        else:
            self._no_release_expected.clear()

    async def until_none(self) -> None:
        """Return when no sync is about to apply a HelmRelease."""
        await self._no_release_expected.wait()

    def brought(self, key: ObjectKey, generation: int, known: int) -> None:
        """A Kustomization was applied, and has this generation; ``known`` is the last one that the watch has shown."""
        for expected in self._expected:
            expected.discard(key)
        if known < generation:
            self._brought[key] = generation

    def heard(self, key: ObjectKey, generation: int | None) -> None:
        """The watch has shown this generation of a Kustomization; None when it is gone."""
        if generation is None or generation >= self._brought.get(key, 0):
            self._brought.pop(key, None)
