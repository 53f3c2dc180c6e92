"""How the directory of the sync of the settings is built and decrypted: as the Kustomization asks that stands for
it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.build import BuildSpec
from gitsync.errors import ApiError, ManifestError, ValuesMissing
from gitsync.manifests import Desired, DesiredObject
from gitsync.sops import Keys
from gitsync.sources.watch.referred import ReferredData
from gitsync.sync.kustomization.inputs.building import build_spec, shapes
from gitsync.sync.kustomization.inputs.keys import keys_in, keys_of, keys_secret
from gitsync.sync.kustomization.inputs.variables import variables_of
from gitsync.sync.kustomization.storage.rootstore import StandsFor

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


class RootKeys:
    """The keys that the Kustomization of a commit that ``stands_for`` this sync names in its decryption; else those of
    the Secret ``default``. ``changed`` is called when they, or the variables, may have changed."""

    def __init__(
        self,
        cluster: Cluster,
        stands_for: StandsFor,
        default: ObjectKey | None,
        changed: Callable[[], None],
    ) -> None:
        self._referred = ReferredData(cluster, lambda *_: changed())
        self._stands_for = stands_for
        self._default = default

    async def __call__(self, desired: Desired) -> Keys | None:
        """The keys; None when nothing is to be decrypted.

        Raises: ValuesMissing; Forbidden and ClusterUnavailable when the Secret cannot be watched.
        """
        root = next((model for _, model in self._roots(desired) if model.spec.decryption is not None), None)
        secret = keys_secret(root, self._default) if root is not None else self._default
        if secret is None:
            return None if root is None else Keys()
        found = await self._referred.of(_WHO, (secret,))
        return keys_of(root, found, self._default) if root is not None else keys_in(secret, found)

    async def spec_of(self, desired: Desired) -> BuildSpec | None:
        """How the directory is built, where its Kustomization asks for variables, patches or the like.

        Raises: ManifestError when what that refers to cannot be had; ClusterUnavailable.
        """
        item, root = next(((item, model) for item, model in self._roots(desired) if shapes(model)), (None, None))
        if item is None or root is None:
            return None
        secret = keys_secret(root, self._default) if root.spec.decryption is not None else self._default
        try:
            named = (*root.value_sources(), *((secret,) if secret is not None else ()))
            found = await self._referred.of(_WHOSE_VARIABLES, named)
            spec = build_spec(root, variables_of(root, found), keys_of(root, found, self._default))
            if root.spec.decryption is None and secret is not None:
                return replace(spec, decrypts=True, keys=keys_in(secret, found))
            return spec
        except (ValuesMissing, ApiError) as error:
            origin = item.field_origin(("spec",))
            raise ManifestError(error.message, origin=origin, key=item.key, hint=error.hint) from None

    def _roots(self, desired: Desired) -> Iterator[tuple[DesiredObject, Kustomization]]:
        for item in desired.objects.values():
            if isinstance(item.model, Kustomization) and self._stands_for(item.model, desired):
                yield item, item.model

    async def close(self) -> None:
        """Watch nothing any more."""
        await self._referred.close()


#: Names under which the Secret, and the objects with variables, are watched: there is only one sync of the settings.
_WHO = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, "", "")
_WHOSE_VARIABLES = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, "", "variables")
