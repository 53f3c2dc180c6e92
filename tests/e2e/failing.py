"""Releases that fail, and are rolled back."""

from __future__ import annotations

from typing import Any

from tests.controlplane.cluster import Cli
from tests.e2e.moving import Moved, box

#: How long each try takes, since its Deployment never becomes ready.
TIMEOUT = "4s"


ROLLED_BACK = "  upgrade: {remediation: {retries: 0, remediateLastFailure: true}}\n"


def failing(namespace: str, holds: tuple[Moved, ...], spec: str, **values: Any) -> str:
    """The release ``b`` with a Deployment that never gets ready."""
    return box(namespace, "b", holds, timeout=TIMEOUT, spec=spec, broken=["never"], **values)


def uids(kubectl: Cli, moved: tuple[Moved, ...]) -> dict[Moved, str]:
    return {item: item.live(kubectl)["uid"] for item in moved}
