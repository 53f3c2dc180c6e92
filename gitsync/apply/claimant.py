"""Who may want an object: so it is told to whoever is about to delete it. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, KUSTOMIZATION, KUSTOMIZE_GROUP


class Claimant(NamedTuple):
    """A sync, or a release by its HelmRelease's ``namespace/name``. ``doubt`` is why nobody can tell at the moment
    whether it wants an object; "" when it does. ``unowned``: it wants a definition that is in its chart's ``crds/``,
    of which nobody is the owner, and which nobody deletes; or, a sync, an object that it leaves alone. ``inside``: it
    wants this object, or keeps it (then with ``doubt``), which would go with the Namespace or the definition that is
    asked about; ``leaves`` is all that is inside and wanted by none but those who are about to be removed: it mostly
    goes before them."""

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
        """Why an object stays that is not to become this one's, in words; "" when it is."""
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
        """As it is known to ObjectClaims."""
        return Claimant(self.kind, self.name)

    @classmethod
    def of_release(cls, key: ObjectKey) -> Claimant:
        """The release of a HelmRelease."""
        return cls("HelmRelease", key.namespaced_name)
