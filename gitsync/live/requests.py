"""What people ask the agent for, and whose an object is that they ask about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import (
    CLI_FIELD_MANAGER,
    COMMIT_ANNOTATION,
    FIELD_MANAGER,
    FORCE_AT_ANNOTATION,
    ORIGIN_ANNOTATION,
    REQUESTED_AT_ANNOTATION,
    RESET_AT_ANNOTATION,
)

if TYPE_CHECKING:
    from gitsync.cluster import Cluster


async def request(
    cluster: Cluster, key: ObjectKey, *, force: bool = False, reset: bool = False, spec: Manifest | None = None
) -> str:
    """Ask the agent to reconcile an object, as Flux is asked, with a change of its ``spec`` in the same request.

    ``force`` asks for one more install or upgrade, ``reset`` that failures be forgotten. Returns the token that the
    status names once it is done. Raises: NotFound, Forbidden.
    """
    token = new_token()
    annotations = {REQUESTED_AT_ANNOTATION: token}
    annotations |= {FORCE_AT_ANNOTATION: token} if force else {}
    annotations |= {RESET_AT_ANNOTATION: token} if reset else {}
    body: dict[str, Any] = {"metadata": {"annotations": annotations}}
    await cluster.patch(key, body | ({"spec": spec} if spec else {}), manager=CLI_FIELD_MANAGER)
    return token


async def suspend(cluster: Cluster, key: ObjectKey) -> None:
    """Have the agent leave an object alone. Raises: NotFound, Forbidden."""
    await cluster.patch(key, {"spec": {"suspend": True}}, manager=CLI_FIELD_MANAGER)


async def resume(cluster: Cluster, key: ObjectKey) -> str:
    """Have the agent take care of an object again, and at once; returns as ``request``."""
    return await request(cluster, key, spec={"suspend": None})


def new_token() -> str:
    """The time, as Flux's own commands have it; any text that was not there before would do."""
    return datetime.now(UTC).isoformat()


def origin_of(manifest: Manifest) -> str:
    """The file and line in Git that an object comes from, "" for what no commit brought."""
    annotations = manifest["metadata"].get("annotations") or {}
    return str(annotations.get(ORIGIN_ANNOTATION) or "the repository") if annotations.get(COMMIT_ANNOTATION) else ""


def git_names(manifest: Manifest, field: str) -> bool:
    """Whether Git says something about ``spec.FIELD``: a sync applies it, so it owns the field (managedFields)."""
    entries = manifest["metadata"].get("managedFields") or ()
    return any(
        entry.get("manager") == FIELD_MANAGER
        and entry.get("operation") == "Apply"
        and f"f:{field}" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        for entry in entries
    )


def is_suspended(manifest: Manifest) -> bool:
    """Whether the agent leaves an object alone."""
    return bool((manifest.get("spec") or {}).get("suspend"))
