"""Which HelmReleases name the same Helm release, and which of them owns it. State only; no I/O.

Two that name the same release would undo each other's work for ever, and deleting one of them would uninstall what the
other runs. So one of them owns it, and the others wait, and say so. The last one that is left takes the release over as
it is: so a HelmRelease can be renamed (another metadata.name, the same releaseName) without an uninstall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.release.status.observed import ObservedStatus


class ReleaseIdentity(NamedTuple):
    """Which Helm release: its name, the namespace of its records, and the kubeconfig of the cluster that it is in."""

    name: str
    storage: str
    kubeconfig: ObjectKey | None

    @staticmethod
    def of(release: HelmRelease) -> ReleaseIdentity:
        """The Helm release that a HelmRelease names."""
        return ReleaseIdentity(release.release_name, release.storage_namespace, release.kubeconfig_source)


class ReleaseOwners:
    """The HelmReleases by the Helm release that they name. One that is being deleted has no claim to it; nor has one
    that is suspended, but a release that only that one names is left to it."""

    def __init__(self) -> None:
        self._by_identity: dict[ReleaseIdentity, dict[ObjectKey, HelmRelease]] = {}
        self._by_key: dict[ObjectKey, ReleaseIdentity] = {}
        self._suspended: dict[ObjectKey, ReleaseIdentity] = {}
        #: By HelmRelease that is being removed, the Helm releases that are being uninstalled for it.
        self.uninstalled: dict[ObjectKey, frozenset[ReleaseIdentity]] = {}

    @contextmanager
    def uninstalling(self, key: ObjectKey, identities: Iterable[ReleaseIdentity]) -> Iterator[None]:
        """These releases are uninstalled for ``key`` in the body: meanwhile, no other HelmRelease may have them."""
        self.uninstalled[key] = frozenset(identities)
        try:
            yield
        finally:
            del self.uninstalled[key]

    def update(self, key: ObjectKey, release: HelmRelease | None) -> None:
        """Take in the present state of a HelmRelease; None when it is gone, or cannot be read."""
        self._suspended.pop(key, None)
        before = self._by_key.pop(key, None)
        if before is not None:
            others = self._by_identity[before]
            del others[key]
            if not others:
                del self._by_identity[before]
        if release is None or release.metadata.deletion_timestamp:
            return
        identity = ReleaseIdentity.of(release)
        if release.spec.suspend:
            self._suspended[key] = identity
        else:
            self._by_key[key] = identity
            self._by_identity.setdefault(identity, {})[key] = release

    def owner(self, identity: ReleaseIdentity, but: ObjectKey) -> ObjectKey | None:
        """The HelmRelease, other than ``but``, that owns a Helm release, or will once it is resumed; None when no other
        names it."""
        others = {key: release for key, release in self._by_identity.get(identity, {}).items() if key != but}
        if others:
            return min(others, key=_rank(others))
        return min((key for key, named in self._suspended.items() if named == identity and key != but), default=None)

    def winner(self, key: ObjectKey) -> ObjectKey | None:
        """The other HelmRelease that owns the Helm release of ``key``, or is having it uninstalled; None when ``key``
        owns it."""
        identity = self._by_key.get(key)
        for other, uninstalled in self.uninstalled.items():
            if other != key and identity in uninstalled:
                return other
        all_of_them = self._by_identity.get(identity, {}) if identity is not None else {}
        if len(all_of_them) < 2:
            return None
        first = min(all_of_them, key=_rank(all_of_them))
        return first if first != key else None

    def losers(self, key: ObjectKey) -> list[ObjectKey]:
        """The other HelmReleases that name the Helm release which ``key`` owns."""
        identity = self._by_key.get(key)
        claimants = self._by_identity.get(identity, {}) if identity is not None else {}
        return [other for other in claimants if self.winner(other) == key]


def _rank(releases: dict[ObjectKey, HelmRelease]) -> Callable[[ObjectKey], tuple[bool, str, ObjectKey]]:
    """Sorts HelmReleases of one Helm release: one that has deployed it first, then the oldest."""

    def rank(key: ObjectKey) -> tuple[bool, str, ObjectKey]:
        release = releases[key]
        status = ObservedStatus(release.manifest)
        last = status.last_ref
        same = last is not None and (last.name, last.storage) == ReleaseIdentity.of(release)[:2]
        has = same and not status.is_uninstalled
        return not has, release.metadata.creation_timestamp, key

    return rank
