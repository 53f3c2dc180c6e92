"""Changes of immutable fields: an error that says what to do, or the object is deleted and created anew (recreated).

``upgrade.force`` and ``rollback.force`` of releases, ``force`` of Kustomizations, the annotation of that name. Helm's
own force is a PUT, which meets the same refusal, and helm-controller passes over it in server-side apply; here it does
what its name says.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gitsync.api.builtin import is_builtin
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_FIELD_MANAGER
from gitsync.apply.deleted import wait_deleted
from gitsync.apply.ownership import kept
from gitsync.errors import AlreadyExists, ApiError, ImmutableField, Invalid

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

log = structlog.get_logger(__name__)

Put = Callable[[Manifest], Awaitable[Manifest]]
#: Kinds that are never recreated: data would go with them, or everything that is in them.
_NEVER = frozenset({"CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim"})
_DIFF = " @@ "
_QUOTED = re.compile(r"^(?:Invalid value: .*: |Forbidden: )", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Force:
    """Whether replacing is ``asked`` for, and by which ``setting`` it could be ("" when by none); ``timeout`` is how
    long an old object may take to go, in seconds.
    """

    asked: bool
    setting: str
    timeout: float


class Recreating:
    """Puts objects into the cluster by ``put``."""

    def __init__(self, cluster: Cluster, put: Put, force: Force) -> None:
        self._cluster = cluster
        self._put = put
        self._force = force

    async def apply(self, manifest: Manifest) -> Manifest:
        """Costs further requests only when the object is refused.

        Raises: ImmutableField when the change is refused and stays so; else what ``put`` raises; NotReadyInTime when
        the old object does not go.
        """
        try:
            return await self._put(manifest)
        except Invalid as error:
            live = await self._refusing(manifest, error)
            if live is None:
                raise
            key = ObjectKey.of(manifest)
            protected = why_not_replaced(live, manifest)
            if not self._force.asked or protected:
                raise _refused(error, key, protected, self._force.setting) from error
            log.warning("object is replaced", object=str(key), why=fields_of(error))
        # Foreground: what belongs to the old object goes before the new one begins.
        await self._cluster.delete(key, propagation="Foreground", uid=live["metadata"]["uid"])
        await wait_deleted(self._cluster, [key], self._force.timeout)
        return await self._put(manifest)

    async def _refusing(self, manifest: Manifest, error: Invalid) -> Manifest | None:
        """The object that is in the way of ``manifest``; None when that would not be taken as a new object either.

        No word of an API server says so for certain: it is asked to create the object, by a dry run. It answers that
        there is one already only when it finds no other fault.
        """
        if error.status != 422:  # malformed: it has not come to what may be changed
            return None
        live = await self._cluster.find(ObjectKey.of(manifest))
        if live is None:
            return None
        try:
            await self._cluster.create(manifest, manager=HELM_FIELD_MANAGER, dry_run=True)
        except AlreadyExists:
            return live
        except ApiError:
            return None
        return None


def why_not_replaced(live: Manifest, manifest: Manifest) -> str:
    """Why an object is not deleted to be created anew, whoever asks; "" when it may be. Pure."""
    key = ObjectKey.of(live)
    if key.kind in _NEVER and is_builtin(key.group):
        return "deleting it would delete data"
    if not is_builtin(key.group):
        return "it is not known what its controller would delete with it"
    if kept(live) or kept(manifest):
        return "its resource policy is to keep it"
    policy = (live.get("spec") or {}).get("persistentVolumeClaimRetentionPolicy") or {}
    if key.kind == "StatefulSet" and policy.get("whenDeleted") == "Delete":
        return "its persistentVolumeClaimRetentionPolicy would delete its volumes"
    return ""


def fields_of(error: ApiError) -> str:
    """``spec.selector: field is immutable``: what the API server complains about, without the values that it quotes
    before that, or as a diff after it. Pure.
    """
    complaints = ((field, _QUOTED.sub("", text).partition(_DIFF)[0]) for field, text in error.causes)
    return "; ".join(f"{field}: {text}" for field, text in complaints) or error.message


def _refused(error: Invalid, key: ObjectKey, protected: str, setting: str) -> ImmutableField:
    if protected:
        help_ = f"{protected}, so it is never replaced: delete it yourself, or rename it"
    elif setting:
        help_ = f"set {setting} to have it replaced (deleted and created anew), or rename it"
    else:
        help_ = "delete it yourself, or rename it"
    return ImmutableField(
        f"cannot change {key}: {fields_of(error)}; {help_}",
        status=error.status,
        reason=error.reason,
        verb=error.verb,
        key=key,
        causes=error.causes,
    )
