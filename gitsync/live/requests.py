"""Requests to the agent: to reconcile, suspend or resume an object, to confirm a commit; and where in Git an object
comes from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_generator
from gitsync.api.names import (
    CLI_FIELD_MANAGER,
    COMMIT_ANNOTATION,
    FIELD_MANAGER,
    FORCE_AT_ANNOTATION,
    GENERATOR_ANNOTATION,
    GENERATOR_DISABLED,
    ORIGIN_ANNOTATION,
    REQUESTED_AT_ANNOTATION,
    RESET_AT_ANNOTATION,
)
from gitsync.sync.storage.configmaps import ALLOW_MASS_PRUNE

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def request(
    cluster: Cluster, key: ObjectKey, *, force: bool = False, reset: bool = False, also: Manifest | None = None
) -> str:
    """Ask the agent to reconcile an object, as Flux is asked; ``also`` is what else is changed by the same request.

    ``force`` asks for one more install or upgrade, ``reset`` that failures be forgotten. Returns the token that the
    status names once it is done. Raises: NotFound, Forbidden.
    """
    token = new_token()
    annotations = {REQUESTED_AT_ANNOTATION: token}
    annotations |= {FORCE_AT_ANNOTATION: token} if force else {}
    annotations |= {RESET_AT_ANNOTATION: token} if reset else {}
    body: dict[str, Any] = {"metadata": {"annotations": annotations}}
    await cluster.patch(key, _merged(body, also or {}), manager=CLI_FIELD_MANAGER)
    return token


async def confirm_commit(cluster: Cluster, inventory: ObjectKey, commit: str) -> None:
    """Let a commit that is held delete as much as it does. ``inventory`` is that of its sync. Raises: NotFound,
    Forbidden."""
    body: dict[str, Any] = {"metadata": {"annotations": {ALLOW_MASS_PRUNE: commit}}}
    await cluster.patch(inventory, body, manager=CLI_FIELD_MANAGER)


def confirmation_command(inventory: ObjectKey, commit: str) -> str:
    """The command that confirms a commit that is held."""
    annotate = f"annotate --overwrite configmap {inventory.name} {ALLOW_MASS_PRUNE}={commit[:7]}"
    return f"kubectl -n {inventory.namespace} {annotate}"


async def suspend(cluster: Cluster, key: ObjectKey) -> None:
    """Have the agent leave an object alone. Raises: NotFound, Forbidden."""
    await cluster.patch(key, suspension(key, suspended=True), manager=CLI_FIELD_MANAGER)


async def resume(cluster: Cluster, key: ObjectKey) -> str:
    """Have the agent reconcile an object again, beginning now; returns as ``request``."""
    return await request(cluster, key, also=suspension(key, suspended=False))


def suspension(key: ObjectKey, *, suspended: bool) -> Manifest:
    """The patch that suspends an object, or ends that: an ArtifactGenerator has an annotation for it, as with Flux."""
    if is_generator(key):
        return {"metadata": {"annotations": {GENERATOR_ANNOTATION: GENERATOR_DISABLED if suspended else None}}}
    return {"spec": {"suspend": True if suspended else None}}


def new_token() -> str:
    """The time, as Flux's own commands have it; any text that was not there before would do."""
    return datetime.now(UTC).isoformat()


def origin_of(manifest: Manifest) -> str:
    """The file and line in Git that an object comes from, "" for one that no commit brought."""
    annotations = manifest["metadata"].get("annotations") or {}
    return str(annotations.get(ORIGIN_ANNOTATION) or "the repository") if annotations.get(COMMIT_ANNOTATION) else ""


def git_names(manifest: Manifest, *path: str) -> bool:
    """Whether Git sets a field: then a sync has applied it and owns it (managedFields)."""
    entries = manifest["metadata"].get("managedFields") or ()
    return any(
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and _has(entry.get("fieldsV1") or {}, path)
        for entry in entries
    )


def _has(fields: Manifest, path: Sequence[str]) -> bool:
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True


def _merged(one: Manifest, other: Manifest) -> Manifest:
    """Two patches as one."""
    both = [name for name in one.keys() & other.keys() if isinstance(one[name], dict)]
    return {**one, **other, **{name: _merged(one[name], other[name]) for name in both}}
