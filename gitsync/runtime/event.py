"""What a Kubernetes Event says about an object. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gitsync.api.identity import CommitInfo


@dataclass(frozen=True, slots=True)
class Event:
    """One Event: ``kind`` is its type. It is written after ``delay`` seconds, unless its object has other news by then.

    ``cause`` is what follows the message in brackets. ``commit`` and ``revision`` are what notifications say that it is
    about. A ``quiet`` one is not written to Kubernetes: it only sets a commit's status, where an Alert asks for that.
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
