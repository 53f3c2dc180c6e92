"""What commits are about to apply: HelmReleases and Kustomizations that are not there yet, or not as they are to be.
State only; no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release


class ExpectedChanges:
    """Of all syncs. ``find`` is what is known of a HelmRelease."""

    def __init__(self, find: Callable[[ObjectKey], Manifest | None]) -> None:
        self._find = find
        # By sync that is under way, what it has yet to apply.
        self._expected: list[set[ObjectKey]] = []
        self._no_release_expected = asyncio.Event()
        self._no_release_expected.set()
        #: Kustomizations that were applied, and are yet to be heard of, with the generations that they have by now.
        self._brought: dict[ObjectKey, int] = {}

    def __contains__(self, key: ObjectKey) -> bool:
        """Whether a commit is about to apply this release or Kustomization, or just has."""
        return key in self._brought or any(key in expected for expected in self._expected)

    @property
    def is_any(self) -> bool:
        """Whether a sync has something yet to apply."""
        return any(self._expected)

    def begin(self, keys: Iterable[ObjectKey]) -> set[ObjectKey]:
        """A sync is about to apply these. Returns what it has yet to apply, for ``arrived`` and ``end``."""
        expected = set(keys)
        self._expected.append(expected)
        self.look()
        return expected

    def arrived(self, expected: set[ObjectKey], key: ObjectKey) -> None:
        """The sync has applied one, or could not."""
        expected.discard(key)
        self.look()

    def end(self, expected: set[ObjectKey]) -> None:
        """The sync is over."""
        self._expected = [other for other in self._expected if other is not expected]
        self.look()

    def look(self) -> None:
        """See whether HelmReleases are expected, after one of them has changed."""
        found = (self._find(key) for expected in self._expected for key in filter(is_release, expected))
        # One that is being deleted is applied when it is gone: who may be what keeps it must not wait for that.
        if all(manifest is not None and "deletionTimestamp" in manifest["metadata"] for manifest in found):
            self._no_release_expected.set()
        else:
            self._no_release_expected.clear()

    async def until_none(self) -> None:
        """Return when no sync is about to apply a HelmRelease."""
        await self._no_release_expected.wait()

    def brought(self, key: ObjectKey, generation: int, known: int) -> None:
        """A Kustomization was applied, and has this generation; that of which it was heard last is ``known``."""
        for expected in self._expected:
            expected.discard(key)
        if known < generation:
            self._brought[key] = generation

    def heard(self, key: ObjectKey, generation: int | None) -> None:
        """How a Kustomization is, None when it is gone."""
        if generation is None or generation >= self._brought.get(key, 0):
            self._brought.pop(key, None)
