"""The objects of the revision that a HelmRelease asks for, before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.parts.actions import Install, Upgrade
from gitsync.apply.claimant import Claimant
from gitsync.apply.namespaces import served
from gitsync.errors import FieldErrors
from gitsync.release.action.hooks import events_of, hook_objects
from gitsync.release.clusters import TargetCluster
from gitsync.release.desired import DesiredRelease
from gitsync.release.render import Renderer
from gitsync.release.revision import CountedAction, RevisionContent

#: Statuses of the newest revision after which the next action, or the one under way, is an install.
_BEFORE_AN_INSTALL = ("pending-install", "uninstalling", "uninstalled")


R = TypeVar("R", HelmRelease, Kustomization)


class RevisionObjects(NamedTuple):
    """The objects of the revision that a HelmRelease asks for. ``owned`` includes those of the hooks that run on the
    way there; ``crds`` are in the chart's ``crds/`` and have no owner. ``releases`` and ``kustomizations`` are the
    HelmReleases and Kustomizations among the objects."""

    owned: frozenset[ObjectKey] = frozenset()
    crds: frozenset[ObjectKey] = frozenset()
    releases: tuple[HelmRelease, ...] = ()
    kustomizations: tuple[Kustomization, ...] = ()

    def claimant(self, release: ObjectKey, key: ObjectKey) -> Claimant | None:
        """``release`` as a claimant, if these objects of it have ``key``; else None."""
        if key in self.owned:
            return Claimant.of_release(release)
        return Claimant.of_release(release)._replace(unowned=True) if key in self.crds else None


def coming_action(target: TargetCluster, desired: DesiredRelease) -> CountedAction:
    """The action by which the revision of ``desired`` is, or would be, made."""
    newest = target.records.latest(desired.ref.storage, desired.ref.name)
    return "install" if newest is None or newest.status in _BEFORE_AN_INSTALL else "upgrade"


async def hooks_on_the_way(release: HelmRelease, action: CountedAction, content: RevisionContent) -> list[Manifest]:
    """The objects of the hooks that run when a revision is made."""
    if _spec_of(release, action).disable_hooks:
        return []
    return await hook_objects(content.hooks, events_of(action))


def _spec_of(release: HelmRelease, action: CountedAction) -> Install | Upgrade:
    return release.spec.install if action == "install" else release.spec.upgrade


async def revision_objects(
    renderer: Renderer, target: TargetCluster, release: HelmRelease, desired: DesiredRelease
) -> RevisionObjects:
    """The objects of the revision of ``desired`` at ``target``. Raises: what keeps it from being rendered."""
    newest = target.records.latest(desired.ref.storage, desired.ref.name)
    action = coming_action(target, desired)
    content = await renderer.content(target, desired, action)(newest.version + 1 if newest else 1)
    hooks = await hooks_on_the_way(release, action, content)
    owned = await served(target.cluster, [*content.objects, *hooks], desired.ref.namespace)
    keys = frozenset(map(ObjectKey.of, owned))
    crds = frozenset(map(ObjectKey.of, content.crds))
    return RevisionObjects(keys, crds, _among(owned, HelmRelease), _among(owned, Kustomization))


def _among(objects: Iterable[Manifest], model: type[R]) -> tuple[R, ...]:
    """The objects of one kind, typed. One that cannot be read is left out: it is refused when it is applied, and so
    never has any objects."""
    found = []
    for manifest in objects:
        if ObjectKey.of(manifest)[:2] == (model.group, model.__name__):
            with suppress(FieldErrors):
                found.append(model.parse(manifest))
    return tuple(found)
