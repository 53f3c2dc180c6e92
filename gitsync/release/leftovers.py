"""Leftovers: objects that a HelmRelease no longer holds, and that are in the cluster as its own all the same.

A release leaves what it no longer holds where it is when somebody else may want it, when it becomes a hook of its own,
or when a revision that failed had only taken it over from another release or a sync. Helm's records forget such
objects with the next revision. So they are noted on the HelmRelease, which outlives revisions, other names and the
process, and looked at again: by the next revision, when it is no longer in doubt who wants them, and when the
HelmRelease is removed.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import TYPE_CHECKING, NamedTuple

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.inventory import inventory_id, parse_inventory_id
from gitsync.api.names import LEFTOVERS_ANNOTATION
from gitsync.apply.claimant import Claimant
from gitsync.apply.delete import Deletion, DeletionRules, Propagation, WantedBy, delete_objects, leave_to, nobody
from gitsync.apply.deleted import find_all
from gitsync.apply.ownership import KEPT_BY_POLICY, former_owner, kept, release_of

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


class Leftover(NamedTuple):
    """An object, and the release that it is marked with, as ``namespace/name``: the HelmRelease may have had another
    name then."""

    key: ObjectKey
    release: str


#: Notes on the HelmRelease that these are all its leftovers.
Note = Callable[[Collection[Leftover]], Awaitable[None]]


async def note_nowhere(leftovers: Collection[Leftover]) -> None:
    """For actions without a HelmRelease."""


def is_let_go(former: str) -> bool:
    """For actions that know no others."""
    return False


class Leftovers:
    """Those of one HelmRelease. ``wanted_by`` says who else may want some of them, ``lets_go`` of a former owner
    whether what others took from it is no longer its own, and deleted when nobody wants it; ``own`` is the HelmRelease
    itself."""

    def __init__(
        self,
        known: Iterable[Leftover] = (),
        wanted_by: WantedBy = nobody,
        note: Note = note_nowhere,
        lets_go: Callable[[str], bool] = is_let_go,
        own: Claimant | None = None,
    ) -> None:
        self._known = {item.key: item for item in known}
        self._wanted_by = wanted_by
        self._note = note
        self._lets_go = lets_go
        self._own = own

    async def delete(
        self,
        cluster: Cluster,
        *,
        held: Collection[ObjectKey] = (),
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> Deletion:
        """Delete those that are still the HelmRelease's, and that nobody else may want; what is ``held`` by now is left
        alone. ``dry_run``: only say what would come of it. Raises: ApiError, ClusterUnavailable."""
        keys = sorted(key for key in self._known if key not in held)

        def is_ours(live: Manifest) -> bool:
            return release_of(live) == self._known[ObjectKey.of(live)].release

        rules = DeletionRules(is_ours, self._wanted_by, _why_kept, propagation)
        deletion = await delete_objects(cluster, keys, rules, dry_run=dry_run)
        if not dry_run:
            stay = {key for key, claimant in deletion.handed_over.items() if not claimant.unowned}
            await self.forget(key for key in keys if key not in stay)
        return deletion

    async def add(
        self, cluster: Cluster, release: str, deletion: Deletion, hooks: Iterable[ObjectKey] = ()
    ) -> frozenset[ObjectKey]:
        """Note what ``deletion`` has left of a release, and what became its ``hooks``, as far as it is there and marked
        as the release's. Returns what is there of the hooks."""
        # What somebody else is known to want is theirs to take, as is noted on it. What the HelmRelease itself
        # is to have under another name, it may be removed without.
        await self.leave(cluster, deletion)
        handed_over = ((key, claimant) for key, claimant in deletion.handed_over.items() if not claimant.unowned)
        others = [key for key, claimant in handed_over if claimant.doubt or claimant.by_name == self._own]
        hooks = frozenset(hooks)
        present = await find_all(cluster, {*others, *deletion.kept, *hooks})
        ours = {key: live for key, live in present.items() if release_of(live) == release}
        new = [key for key, live in ours.items() if key not in deletion.kept or self.is_of_release(live)]
        await self._write({**self._known, **{key: Leftover(key, release) for key in new}})
        return hooks & ours.keys()

    async def leave(self, cluster: Cluster, deletion: Deletion) -> None:
        """Note on what others are to have that it is theirs, and goes with them.

        Raises: ApiError, ClusterUnavailable.
        """
        heirs = {key: claimant for key, claimant in deletion.handed_over.items() if claimant.by_name != self._own}
        await leave_to(cluster, heirs, lambda live: bool(release_of(live)))

    async def forget(self, keys: Iterable[ObjectKey]) -> None:
        """These are gone, or held again."""
        gone = set(keys)
        await self._write({key: item for key, item in self._known.items() if key not in gone})

    def is_of_release(self, live: Manifest) -> bool:
        """Whether an object that a revision has only taken over was somebody's own, and is that no longer."""
        former = former_owner(live)
        return bool(former) and self._lets_go(former)

    async def _write(self, known: dict[ObjectKey, Leftover]) -> None:
        if known != self._known:
            await self._note(list(known.values()))
            self._known = known


def _why_kept(live: Manifest) -> str:
    return KEPT_BY_POLICY if kept(live) else ""


def leftovers_of(manifest: Manifest) -> list[Leftover]:
    """What is noted on a HelmRelease; nothing when that cannot be read, for anybody may write there. Pure."""
    text = (manifest["metadata"].get("annotations") or {}).get(LEFTOVERS_ANNOTATION)
    try:
        found = json.loads(text) if text else {}
        items = [(key, release) for release, ids in found.items() for key in map(parse_inventory_id, ids)]
    except (AttributeError, TypeError, ValueError, RecursionError):
        return []
    return [Leftover(key, release) for key, release in items if key is not None]


def noted(leftovers: Iterable[Leftover]) -> str | None:
    """The note for a HelmRelease, None for none. Pure."""
    found: dict[str, list[str]] = {}
    for item in sorted(leftovers):
        found.setdefault(item.release, []).append(inventory_id(item.key))
    return json.dumps(found) if found else None
