"""Who may want an object that somebody else is about to delete. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, KUSTOMIZATION, KUSTOMIZE_GROUP


class Claimant(NamedTuple):
    """A sync, or a release by its HelmRelease's ``namespace/name``, that wants an object or may want it.

    - ``doubt``: why nobody can tell at the moment whether it wants the object; "" when it does.
    - ``unowned``: it wants the object, but does not become its owner, and nobody deletes it: a definition in the
      ``crds/`` of a release's chart, or an object that a sync leaves alone.
    - ``inside``: what it wants (or, with ``doubt``, may want) is not the object itself, a Namespace or a
      CustomResourceDefinition, but this one, which would go with it.
    - ``leaves``: all that is inside, where only syncs and releases want it that are about to be removed themselves:
      they mostly delete it before they are gone.
    """

    kind: Literal["sync", "HelmRelease"]
    name: str
    doubt: str = ""
    unowned: bool = False
    inside: ObjectKey | None = None
    leaves: tuple[ObjectKey, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @property
    def written(self) -> str:
        """As it is written on an object."""
        return f"{self.kind} {self.name}"

    @property
    def may_want_it(self) -> str:
        """Why an object stays that it may want, in words."""
        if self.inside is not None:
            return f"{self.inside} would go with it, which {self} keeps: {self.doubt}"
        return f"{self} may want it: {self.doubt}"

    @property
    def why_kept(self) -> str:
        """Why an object stays without becoming this claimant's own, in words; "" when it does become that."""
        if self.inside is not None:
            return self.may_want_it if self.doubt else f"{self.inside} would go with it, which {self} wants"
        why = f"is in the crds/ of {self}" if self.kind == "HelmRelease" else f"{self} leaves it alone"
        return f"{why}, and nobody's from now on" if self.unowned else ""

    @property
    def release(self) -> ObjectKey | None:
        """The HelmRelease, None for a sync."""
        namespace, _, name = self.name.partition("/")
        return ObjectKey(HELM_GROUP, HELM_RELEASE, namespace, name) if self.kind == "HelmRelease" else None

    @property
    def object(self) -> ObjectKey:
        """The HelmRelease, or the Kustomization that a sync is."""
        namespace, _, name = self.name.partition("/")
        return self.release or ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, namespace, name)

    @property
    def by_name(self) -> Claimant:
        """The same sync or release without what is said of one object: as ObjectClaims knows it."""
        return Claimant(self.kind, self.name)

    @classmethod
    def of_release(cls, key: ObjectKey) -> Claimant:
        """The release of a HelmRelease."""
        return cls("HelmRelease", key.namespaced_name)
