"""What is told of an object as a Kubernetes Event. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitsync.api.identity import CommitInfo


@dataclass(frozen=True, slots=True)
class Event:
    """One Event: ``kind`` is its type. It is told after ``delay`` seconds, unless its object has other news by then.

    ``cause`` is what follows the message in brackets. ``commit`` and ``revision`` are what it is about, for who is
    notified. A ``quiet`` one is no Event of Kubernetes: it tells those only who follow how a commit stands.
    """

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str
    delay: float = 0.0
    cause: str = ""
    commit: CommitInfo | None = None
    revision: str = ""
    quiet: bool = False

    @property
    def text(self) -> str:
        """The message with its cause."""
        return f"{self.message} ({self.cause})" if self.cause else self.message
