"""What a commit changes: desired objects against the inventory and what is live. Pure.

An object whose content is the one last applied costs nothing: only the others are read from the cluster; and all of
them when everything is to be compared (at a start, and at intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from gitsync.api.identity import CommitInfo, Manifest, ObjectKey
from gitsync.api.kinds import defined_kind, is_kustomization, is_release
from gitsync.api.names import RBAC_GROUP, SOURCE_GROUP
from gitsync.apply.claimant import Claimant
from gitsync.diff import subset_differs, summary
from gitsync.graph import Graph
from gitsync.manifests import Desired, DesiredObject
from gitsync.release.dependencies.states import commit_of
from gitsync.sync.owner import Owner
from gitsync.sync.policy import left_alone
from gitsync.sync.storage.inventory import UNKNOWN, Entry, Inventory

K = TypeVar("K", bound=Hashable)

#: A commit that deletes more than half of more than so many objects has to be confirmed.
MASS_PRUNE_FROM = 10
#: Why an object is new though it had been applied before.
VANISHED = "vanished from the cluster"
_WHAT_THEN = "and those that no other sync or release wants would be deleted"

Verdict = Literal["new", "changed", "drifted", "unchanged", "foreign", "out_of_scope"]


@dataclass(frozen=True, slots=True)
class Step:
    """One desired object and what is to be done about it; ``why`` gives the reason in words. ``live`` is the object in
    the cluster, None when there is none or it was not read. ``holder`` is a release that has the object now: the step
    is taken once that has let go of it."""

    desired: DesiredObject
    verdict: Verdict
    why: str = ""
    live: Manifest | None = None
    holder: Claimant | None = None

    @property
    def key(self) -> ObjectKey:
        """The object."""
        return self.desired.key

    @property
    def applies(self) -> bool:
        """Whether the object has to be applied."""
        return self.verdict in ("new", "changed", "drifted")

    @property
    def was_there(self) -> bool:
        """Whether the object is there, or had been applied before."""
        return self.live is not None or self.why == VANISHED

    @property
    def refused(self) -> bool:
        """Whether the object must not be applied, by this agent or at all."""
        return self.verdict in ("foreign", "out_of_scope")


@dataclass(frozen=True)
class SyncPlan:
    """What a sync does: apply the ``stages`` of objects, one after the other, and delete the entries in ``prune``,
    which have left Git.

    ``desired`` is the commit's content with namespaces filled in; ``steps`` has a step for each of its objects, also
    for those that need no apply. ``stays`` are entries that have left Git and are not pruned. ``held`` says why nothing
    may be done until somebody confirms it, "" when it may; ``prune_skipped`` why pruning is off.
    """

    desired: Desired
    steps: tuple[Step, ...]
    stages: tuple[tuple[Step, ...], ...]
    prune: tuple[Entry, ...] = ()
    stays: tuple[Entry, ...] = ()
    held: str = ""
    prune_skipped: str = ""

    def acting_on(self, commit: CommitInfo) -> SyncPlan:
        """The same plan, in which each entry to prune notes that this commit has dropped it."""
        return replace(self, prune=tuple(entry.dropped_by(commit.id) for entry in self.prune))

    def placing(self, placed: Mapping[ObjectKey, DesiredObject]) -> SyncPlan:
        """The same plan, with ``placed`` in place of the objects with these keys: their kinds came meanwhile, and have
        shown whether they have a namespace."""
        steps = (replace(step, desired=placed.get(step.key, step.desired)) for step in self.steps)
        return replace(self, steps=tuple(steps)) if placed else self

    @property
    def wanted(self) -> list[ObjectKey]:
        """The objects that the sync wants."""
        unknown = self.stays if self.desired.bad_paths else ()  # they may still be in a file that cannot be read
        return [*(step.key for step in self.steps if not step.refused), *(entry.key for entry in unknown)]

    @property
    def unserved(self) -> list[ObjectKey]:
        """The HelmReleases and Kustomizations in namespaces that the agent does not serve."""
        out = [step for step in self.steps if step.verdict == "out_of_scope"]
        return sorted(step.key for step in out if is_release(step.key) or is_kustomization(step.key))

    @property
    def unpruned(self) -> list[ObjectKey]:
        """The objects that have left Git and stay because the sync does not prune: whoever wants one may have it."""
        return [] if self.desired.bad_paths else [entry.key for entry in self.stays]


def verdict_of(
    desired: DesiredObject,
    entry: Entry | None,
    live: Manifest | None,
    owner: Owner,
    let_go: Callable[[str], bool] = lambda other: False,
) -> Step:
    """What is to be done about one object, given its ``live`` state. ``let_go`` says whether another sync, whose the
    object is, does not want it any more."""
    if why := left_alone(desired.manifest, live):
        return Step(desired, "unchanged", why, live)
    if live is None:
        vanished = entry is not None and entry.digest
        return Step(desired, "new", VANISHED if vanished else "new in Git")
    if (other := owner.other(live)) and not let_go(other):
        why = f"belongs to sync {other!r}: remove it from one of the two"
        return Step(desired, "foreign", why, live)
    if entry is not None and _is_begun(entry, desired, live, owner):
        return Step(desired, "drifted", "the sync that applied it was cut short", live)
    is_unknown = entry is not None and not entry.dropped and entry.digest == UNKNOWN and owner.owns(live)
    if entry is None or entry.dropped or (entry.digest != desired.digest and not is_unknown):
        is_known = entry is not None and not entry.dropped and entry.digest != UNKNOWN
        why = "changed in Git" if is_known else "adopted: was in the cluster already"
        return Step(desired, "changed", why, live)
    if "deletionTimestamp" in live["metadata"]:
        return Step(desired, "drifted", "is being deleted in the cluster", live)
    if why := _marks_missing(live, owner):
        return Step(desired, "drifted", why, live)
    # The same object is served in every version of its kind: a difference of versions is none.
    if differences := subset_differs({**desired.manifest, "apiVersion": live["apiVersion"]}, live):
        if is_unknown:
            return Step(desired, "changed", "changed in Git: " + summary(differences), live)
        return Step(desired, "drifted", "changed in the cluster: " + summary(differences), live)
    if is_unknown:  # a comparison does not show fields that Git has dropped meanwhile; an apply removes them
        return Step(desired, "drifted", "looked at anew after a restart", live)
    return Step(desired, "unchanged", live=live)


def _marks_missing(live: Manifest, owner: Owner) -> str:
    """Which marks of its owner an object lacks, in words; "" when it has all of them."""
    if not owner.owns(live):
        return "lost its owner annotation in the cluster"
    if owner.owned_in_0_1(live):
        return "is marked as by gitsync 0.1"
    return "" if owner.is_labelled(live) else "lacks the labels by which Flux knows it"


def _is_begun(entry: Entry, desired: DesiredObject, live: Manifest, owner: Owner) -> bool:
    """Whether an object got the wanted content by an earlier commit whose sync was cut short: then it stays marked with
    that commit."""
    stamp = commit_of(live)
    return (
        entry.begun == desired.digest
        and not entry.dropped
        and owner.owns(live)
        and stamp is not None
        and stamp.id == entry.commit
    )


def staged(steps: Iterable[Step], order: Graph[ObjectKey]) -> tuple[tuple[Step, ...], ...]:
    """Steps to apply, in stages: Namespaces, CRDs, the rest, sources, HelmReleases by their dependencies, and
    Kustomizations.

    Dependencies are applied first: whoever sees a changed release on a watch has then seen its dependencies changed.
    """
    todo = [step for step in steps if step.applies]
    by_key = {step.key: step for step in todo}
    releases = [key for key in by_key if is_release(key)]
    layers = [[by_key[key] for key in layer if key in by_key] for layer in order.layers()]
    in_layers = {step.key for layer in layers for step in layer}
    stages = [
        [step for step in todo if step.key.kind == "Namespace" and not step.key.group],
        [step for step in todo if step.key.kind == "CustomResourceDefinition"],
        [step for step in todo if _is_plain(step.key)],
        [step for step in todo if step.key.group == SOURCE_GROUP],
        *layers,
        [by_key[key] for key in releases if key not in in_layers],
        [step for step in todo if is_kustomization(step.key)],
    ]
    return tuple(tuple(stage) for stage in stages if stage)


def needs_kept(needed: ObjectKey, left: ObjectKey) -> bool:
    """Whether ``needed``, which may be deleted only after ``left``, has to stay when ``left`` stays. So it is, but for
    the definition of another kind, and for rights in other namespaces: nothing shows that ``left`` needs those, and
    what is taken out of Git is to be taken away. (Whether a Namespace still has objects in it is checked elsewhere.)"""
    if needed.group == RBAC_GROUP:
        return needed.namespace == left.namespace
    if needed.kind == "Namespace" and not needed.group:
        return needed.name == left.namespace
    return needed.kind != "CustomResourceDefinition" or needed.name.partition(".")[2] == left.group


def _is_plain(key: ObjectKey) -> bool:
    early = key.kind == "CustomResourceDefinition" or (key.kind == "Namespace" and not key.group)
    return not early and key.group != SOURCE_GROUP and not is_release(key) and not is_kustomization(key)


def brings(desired: Desired, key: ObjectKey, what: Literal["kind", "namespace"]) -> bool:
    """Whether the commit itself brings the kind of an object, by a CustomResourceDefinition, or its Namespace."""
    if what == "namespace":
        return ObjectKey("", "Namespace", "", key.namespace) in desired.objects
    defined = filter(None, (defined_kind(item.manifest) for item in desired.objects.values()))
    return any(kind[:2] == (key.group, key.kind) for kind in defined)


def to_prune(inventory: Inventory, desired: Collection[ObjectKey]) -> tuple[Entry, ...]:
    """The entries that Git no longer holds."""
    return tuple(entry for entry in inventory if entry.key not in desired)


def mass_prune(prune: Sequence[Entry], inventory: Inventory) -> str:
    """Why a commit has to be confirmed before it is acted on; "" when it need not be. Objects that only move to another
    sync count, too: who is to have them is not known before the commit is acted on."""
    if len(prune) == len(inventory) > 1:
        return f"it drops everything, all {len(prune)} objects, {_WHAT_THEN}"
    if len(inventory) > MASS_PRUNE_FROM and len(prune) * 2 > len(inventory):
        return f"it drops {len(prune)} of {len(inventory)} objects, {_WHAT_THEN}"
    return ""


def prune_prerequisites(
    entries: Iterable[Entry],
    order: Graph[ObjectKey],
    sources: Mapping[ObjectKey, ObjectKey],
    *,
    rights_last: bool = False,
) -> dict[ObjectKey, frozenset[ObjectKey]]:
    """For each entry to delete, the entries that have to be gone before it:

    - for a HelmRelease or Kustomization, those that depend on it;
    - for a plain object, the HelmReleases and Kustomizations of its namespace, which may need it (a ServiceAccount, a
      Secret) to the end; for RBAC objects, all of these, which may be removed by that right;
    - for a source, the HelmReleases that use it (``sources``);
    - for a CRD, everything but Namespaces;
    - for a Namespace, all that is in it, and all HelmReleases and Kustomizations, since their objects may be in it.

    ``rights_last`` is for a sync that may work as a ServiceAccount of its own: that goes after all other objects, and
    RBAC objects after the ServiceAccounts. Dependencies in a cycle are ignored.
    """
    keys = [entry.key for entry in entries]
    releases = frozenset(key for key in keys if is_release(key))
    ordered = releases | frozenset(filter(is_kustomization, keys))
    layers = order.reverse_layers() if ordered else ()
    rank = {key: number for number, layer in enumerate(layers) for key in layer}
    # Many entries wait for the same others: each set is made once.
    inside = _grouped((key.namespace, key) for key in keys)
    ordered_inside = _grouped((key.namespace, key) for key in ordered)
    users = _grouped((sources[key], key) for key in releases if key in sources)
    ordinary = frozenset(key for key in keys if key.kind not in ("Namespace", "CustomResourceDefinition"))
    accounts = frozenset(filter(_is_account, ordinary))
    others = frozenset(key for key in ordinary - accounts if key.group != RBAC_GROUP)

    def before(key: ObjectKey) -> frozenset[ObjectKey]:
        if key in ordered:
            dependents = order.dependents(key) if key in rank else ()
            return frozenset(one for one in dependents if one in ordered and rank.get(one, len(rank)) < rank[key])
        if key.kind == "Namespace" and not key.group:
            return inside.get(key.name, frozenset()) | ordered  # what those have may be in it
        if key.kind == "CustomResourceDefinition":
            return ordinary
        if key.group == SOURCE_GROUP:
            return users.get(key, frozenset())
        if rights_last and _is_account(key):
            return others
        if rights_last and key.group == RBAC_GROUP:
            return others | accounts
        return ordered if key.group == RBAC_GROUP else ordered_inside.get(key.namespace, frozenset())

    return {key: before(key) for key in keys}


def is_right(key: ObjectKey) -> bool:
    """Whether somebody may have rights by an object: one of RBAC, or a ServiceAccount."""
    return key.group == RBAC_GROUP or _is_account(key)


def _is_account(key: ObjectKey) -> bool:
    return (key.group, key.kind) == ("", "ServiceAccount")


def _grouped(pairs: Iterable[tuple[K, ObjectKey]]) -> dict[K, frozenset[ObjectKey]]:
    """The objects of the pairs, by what comes first in each."""
    found: dict[K, set[ObjectKey]] = {}
    for group, key in pairs:
        found.setdefault(group, set()).add(key)
    return {group: frozenset(keys) for group, keys in found.items()}
