"""Leftovers: objects that are no longer in a HelmRelease's revision, but still in the cluster and marked as its own.
 A release does not delete an object that it no longer holds if another may want it, if it becomes one of its hooks, or
if a failed revision had only taken it over from another release or a sync. Helm's records forget such objects with the
next revision. So they are noted on the HelmRelease (``gitsync.dev/leftovers``), which outlives revisions, renaming and
the process; and they are looked at again: by the next revision, when it has become clear who wants them, and when the
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
    """An object, and the Helm release that it is marked with, as ``namespace/name``: the HelmRelease may have named
    another release at that time."""

    key: ObjectKey
    release: str


#: Writes onto the HelmRelease that these are all its leftovers.
Note = Callable[[Collection[Leftover]], Awaitable[None]]


async def note_nowhere(leftovers: Collection[Leftover]) -> None:
    """The Note of actions without a HelmRelease."""


def is_let_go(former: str) -> bool:
    """``lets_go`` of actions that know no other releases or syncs."""
    return False


class Leftovers:
    """The leftovers of one HelmRelease (``own``). ``wanted_by`` says who else may want some of them. ``lets_go`` says
    of a former owner whether it has given up the objects that were taken from it for good: then they may be deleted
    when nobody wants them."""

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
        """Delete the leftovers that are still the HelmRelease's, and that nobody else may want, without those that are
        ``held`` by its revision again. ``dry_run``: only say what would be done. Raises: ApiError,
        ClusterUnavailable."""
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
        """Note as leftovers the objects that ``deletion`` has left in the cluster, and those that became ``hooks``, if
        they exist and are marked as the release's. Returns the hooks that exist."""
        # An object that another is known to want is not a leftover: a note on the object says so (``leave``). Objects
        # that this HelmRelease itself is to have under another name are leftovers until then.
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
        """Note on each object that another is to have that it is left to that one, and is deleted with it.

        Raises: ApiError, ClusterUnavailable.
        """
        heirs = {key: claimant for key, claimant in deletion.handed_over.items() if claimant.by_name != self._own}
        await leave_to(cluster, heirs, lambda live: bool(release_of(live)))

    async def forget(self, keys: Iterable[ObjectKey]) -> None:
        """These objects are gone, or in the release's revision again: they are no leftovers any more."""
        gone = set(keys)
        await self._write({key: item for key, item in self._known.items() if key not in gone})

    def is_of_release(self, live: Manifest) -> bool:
        """Whether an object that was only taken over is the release's to delete: its former owner has given it up."""
        former = former_owner(live)
        return bool(former) and self._lets_go(former)

    async def _write(self, known: dict[ObjectKey, Leftover]) -> None:
        if known != self._known:
            await self._note(list(known.values()))
            self._known = known


def _why_kept(live: Manifest) -> str:
    return KEPT_BY_POLICY if kept(live) else ""


def leftovers_of(manifest: Manifest) -> list[Leftover]:
    """The leftovers noted on a HelmRelease; none when the note cannot be read, since anybody may write there. Pure."""
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
