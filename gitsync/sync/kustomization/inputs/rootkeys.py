"""The keys for what is encrypted in the directory that the sync of the settings has itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gitsync.api.identity import ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.manifests import Desired
from gitsync.sops import Keys
from gitsync.sources.watch.referred import ReferredData
from gitsync.sync.kustomization.inputs.keys import keys_in, keys_of, keys_secret

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


class RootKeys:
    """Those of the Kustomization of a commit that stands for this sync (``is_root``), where its decryption asks for
    some; else those of ``default``. ``changed`` is told when they may be others."""

    def __init__(
        self,
        cluster: Cluster,
        is_root: Callable[[Kustomization], bool],
        default: ObjectKey | None,
        changed: Callable[[], None],
    ) -> None:
        self._referred = ReferredData(cluster, lambda *_: changed())
        self._is_root = is_root
        self._default = default

    async def __call__(self, desired: Desired) -> Keys | None:
        """The keys; None when nothing is to be decrypted.

        Raises: ValuesMissing; Forbidden and ClusterUnavailable when the Secret cannot be watched.
        """
        models = (item.model for item in desired.objects.values())
        roots = [model for model in models if isinstance(model, Kustomization) and self._is_root(model)]
        root = next((item for item in roots if item.spec.decryption is not None), None)
        secret = keys_secret(root, self._default) if root is not None else self._default
        if secret is None:
            return None if root is None else Keys()
        found = await self._referred.of(_WHO, (secret,))
        return keys_of(root, found, self._default) if root is not None else keys_in(secret, found)

    async def close(self) -> None:
        """Watch nothing any more."""
        await self._referred.close()


#: For whom the Secret is watched: there is one such sync.
_WHO = ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, "", "")
