"""``status.history`` of a Kustomization: its past reconciliations, as Flux notes them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gitsync.api.conditions import rfc3339
from gitsync.api.duration import format_duration

#: How many are remembered.
REMEMBERED = 5


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to apply objects of this ``digest``, which has taken so many ``seconds``. ``status`` is the reason of
    Ready that it ended with; ``revision`` is that of the source, ``origin`` that of the Git repository that the
    source's artifact was made of, "" without one."""

    digest: str
    status: str
    seconds: float
    revision: str
    origin: str = ""


def with_attempt(history: Sequence[Mapping[str, Any]], attempt: Attempt, now: datetime) -> tuple[dict[str, Any], ...]:
    """The history with one attempt more, the newest first. The same objects with the same end are one entry."""
    digest, moment = f"sha256:{attempt.digest}", rfc3339(now)
    same = [it for it in history if (it.get("digest"), it.get("lastReconciledStatus")) == (digest, attempt.status)]
    before: Mapping[str, Any] = same[0] if same else {}
    total = before.get("totalReconciliations")
    entry = {
        "digest": digest,
        "firstReconciled": before.get("firstReconciled") or moment,
        "lastReconciled": moment,
        "lastReconciledDuration": format_duration(round(attempt.seconds, 3)),
        "lastReconciledStatus": attempt.status,
        "totalReconciliations": (total if isinstance(total, int) else 0) + 1,
        "metadata": {
            "revision": attempt.revision,
            **({"originRevision": attempt.origin} if attempt.origin else {}),
        },
    }
    return (entry, *(dict(it) for it in history if it not in same))[:REMEMBERED]
