"""What a commit changes: desired objects against the inventory and what is live. Pure.

An object whose content is the one last applied costs nothing; somebody looks only at the others, and at all of them
when the whole cluster is to be compared (at a start, and at intervals).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_release
from gitsync.api.names import SOURCE_GROUP
from gitsync.apply.claims import Claimant
from gitsync.diff import subset_differs, summary
from gitsync.graph import Graph
from gitsync.manifests import Desired, DesiredObject
from gitsync.sync.inventory import Entry, Inventory
from gitsync.sync.owner import Owner

#: A commit that deletes more than half of more than so many objects has to be confirmed.
MASS_PRUNE_FROM = 10

Verdict = Literal["new", "changed", "drifted", "unchanged", "foreign", "out_of_scope"]


@dataclass(frozen=True, slots=True)
class Step:
    """One desired object and what is to be done about it. ``why`` says it in words; ``live`` is the object as it is in
    the cluster, None when it is not there or nobody looked. ``holder`` is a release that has it now: it is applied once
    that has let go of it."""

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
        """Whether it has to be applied."""
        return self.verdict in ("new", "changed", "drifted")

    @property
    def refused(self) -> bool:
        """Whether it must not be applied, by this agent or at all."""
        return self.verdict in ("foreign", "out_of_scope")


@dataclass(frozen=True)
class SyncPlan:
    """What a sync does: ``stages`` of objects to apply, one after the other; ``prune``, the entries that left Git.

    ``desired`` is the commit's content with namespaces filled in, ``steps`` what is found of each of its objects.
    ``stays`` are entries that would be pruned, and are not.
    ``held`` says why nothing may be done until somebody confirms ("" for go on); ``prune_skipped`` why pruning is off.
    """

    desired: Desired
    steps: tuple[Step, ...]
    stages: tuple[tuple[Step, ...], ...]
    prune: tuple[Entry, ...] = ()
    stays: tuple[Entry, ...] = ()
    held: str = ""
    prune_skipped: str = ""

    @property
    def wanted(self) -> list[ObjectKey]:
        """The objects that the sync has, or is to have."""
        return [*(step.key for step in self.steps if not step.refused), *(entry.key for entry in self.stays)]


def verdict_of(
    desired: DesiredObject,
    entry: Entry | None,
    live: Manifest | None,
    owner: Owner,
    let_go: Callable[[str], bool] = lambda other: False,
) -> Step:
    """What is to be done about one object that somebody looked at. ``let_go`` says whether another sync, which the
    object belongs to, does not want it any more."""
    if live is None:
        vanished = entry is not None and entry.digest
        return Step(desired, "new", "vanished from the cluster" if vanished else "new in Git")
    if (other := owner.other(live)) and not let_go(other):
        why = f"belongs to sync {other!r}: remove it from one of the two repositories"
        return Step(desired, "foreign", why, live)
    if entry is None or entry.digest != desired.digest:
        why = "changed in Git" if entry is not None else "adopted: was in the cluster already"
        return Step(desired, "changed", why, live)
    if "deletionTimestamp" in live["metadata"]:
        return Step(desired, "drifted", "is being deleted in the cluster", live)
    if not owner.owns(live):
        return Step(desired, "drifted", "lost its owner annotation in the cluster", live)
    # An object is served in every version of its kind; which one it was written in makes no difference.
    if differences := subset_differs({**desired.manifest, "apiVersion": live["apiVersion"]}, live):
        return Step(desired, "drifted", "changed in the cluster: " + summary(differences), live)
    return Step(desired, "unchanged", live=live)


def staged(steps: Iterable[Step], order: Graph[ObjectKey]) -> tuple[tuple[Step, ...], ...]:
    """Steps to apply, in stages: Namespaces, CRDs, the rest, sources, and HelmReleases by their dependencies.

    Dependencies are applied first so that whoever sees a changed release has seen those that it waits for changed too.
    """
    todo = [step for step in steps if step.applies]
    by_key = {step.key: step for step in todo}
    releases = [key for key in by_key if is_release(key)]
    layers = [[by_key[key] for key in layer if key in by_key] for layer in order.layers()]
    placed = {step.key for layer in layers for step in layer}
    stages = [
        [step for step in todo if step.key.kind == "Namespace" and not step.key.group],
        [step for step in todo if step.key.kind == "CustomResourceDefinition"],
        [step for step in todo if _is_plain(step.key)],
        [step for step in todo if step.key.group == SOURCE_GROUP],
        *layers,
        [by_key[key] for key in releases if key not in placed],
    ]
    return tuple(tuple(stage) for stage in stages if stage)


def _is_plain(key: ObjectKey) -> bool:
    early = key.kind == "CustomResourceDefinition" or (key.kind == "Namespace" and not key.group)
    return not early and key.group != SOURCE_GROUP and not is_release(key)


def defined_kind(manifest: Manifest) -> tuple[str, str] | None:
    """Group and kind that a CustomResourceDefinition defines; None for another object."""
    spec = manifest.get("spec")
    if manifest.get("kind") != "CustomResourceDefinition" or not isinstance(spec, dict):
        return None
    return str(spec.get("group", "")), str((spec.get("names") or {}).get("kind", ""))


def brings(desired: Desired, key: ObjectKey, what: Literal["kind", "namespace"]) -> bool:
    """Whether the commit itself brings the kind of an object, by a CustomResourceDefinition, or its Namespace."""
    if what == "namespace":
        return ObjectKey("", "Namespace", "", key.namespace) in desired.objects
    return any(defined_kind(item.manifest) == (key.group, key.kind) for item in desired.objects.values())


def to_prune(inventory: Inventory, desired: Collection[ObjectKey]) -> tuple[Entry, ...]:
    """The entries that Git no longer holds."""
    return tuple(entry for entry in inventory if entry.key not in desired)


def mass_prune(prune: Sequence[Entry], inventory: Inventory) -> str:
    """Why a commit has to be confirmed before it is acted on; "" when it need not be."""
    if len(prune) == len(inventory) > 1:
        return f"it would delete everything: all {len(prune)} objects"
    if len(inventory) > MASS_PRUNE_FROM and len(prune) * 2 > len(inventory):
        return f"it would delete {len(prune)} of {len(inventory)} objects"
    return ""


def prune_prerequisites(
    entries: Iterable[Entry], order: Graph[ObjectKey], sources: Mapping[ObjectKey, ObjectKey]
) -> dict[ObjectKey, frozenset[ObjectKey]]:
    """By entry to delete, those that have to be gone before: of a HelmRelease its dependents; of a plain object the
    HelmReleases of its namespace; of a source the HelmReleases that use it (``sources``); of a CRD all but Namespaces;
    of a Namespace all that is in it. A cycle among HelmReleases orders nothing.
    """
    keys = [entry.key for entry in entries]
    layers = order.reverse_layers()
    rank = {key: number for number, layer in enumerate(layers) for key in layer}
    releases = [key for key in keys if is_release(key)]
    dependents: dict[ObjectKey, set[ObjectKey]] = {key: set() for key in releases}
    for key in releases:
        if key in rank:
            dependents[key] = {other for other in order.dependents(key) if rank.get(other, len(rank)) < rank[key]}

    def before(key: ObjectKey) -> set[ObjectKey]:
        if is_release(key):
            return dependents[key].intersection(releases)
        if key.kind == "Namespace" and not key.group:
            return {other for other in keys if other.namespace == key.name}
        if key.kind == "CustomResourceDefinition":
            return {other for other in keys if other.kind not in ("Namespace", "CustomResourceDefinition")}
        if key.group == SOURCE_GROUP:
            return {other for other in releases if sources.get(other) == key}
        return {other for other in releases if other.namespace == key.namespace}

    return {key: frozenset(before(key)) for key in keys}
