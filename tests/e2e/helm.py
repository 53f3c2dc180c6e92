"""What Helm's own program says of releases."""

from __future__ import annotations

import json
from typing import Any

from tests.controlplane.cluster import Cli


def listed(helm: Cli, namespace: str) -> dict[str, tuple[str, int]]:
    """``helm list`` (v4 shows every status): status and revision."""
    rows = json.loads(helm("list", "-n", namespace, "-o", "json"))
    return {row["name"]: (row["status"], int(row["revision"])) for row in rows}


def history(helm: Cli, namespace: str, name: str) -> list[tuple[int, str]]:
    """``helm history``: revisions with their statuses, oldest first."""
    return [(row["revision"], row["status"]) for row in rows(helm, namespace, name)]


def rows(helm: Cli, namespace: str, name: str) -> list[dict[str, Any]]:
    """``helm history`` in full."""
    found: list[dict[str, Any]] = json.loads(helm("history", name, "-n", namespace, "-o", "json"))
    return found
