"""What is said about an object: ready, progressing or failed, and why in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gitsync.text import shorten

Status = Literal["ready", "progressing", "failed"]

#: Characters of a message: it must fit a log line, a condition and a Helm record's description.
MESSAGE_LIMIT: Final = 300


@dataclass(frozen=True, slots=True)
class Health:
    """``failed`` means for good: the same object does not heal without a new spec. What may still heal (an image that
    cannot be pulled, a container that crashes, a pod that fits no node) is ``progressing``, and the deadline decides.

    ``reason`` is one CamelCase word, stable while the cause is; ``message`` is one line of at most MESSAGE_LIMIT
    characters. Both are "" when ready. Where a pod's own reason is known (``ImagePullBackOff``), it is the reason.
    """

    status: Status
    reason: str = ""
    message: str = ""


READY: Final = Health("ready")


def progressing(reason: str, message: str) -> Health:
    """Not ready yet, and may become so by itself."""
    return Health("progressing", one_line(reason), one_line(message))


def failed(reason: str, message: str) -> Health:
    """Not ready, and the object itself says that it will not become so."""
    return Health("failed", one_line(reason), one_line(message))


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Controllers' texts made fit for a log: line breaks and control characters become spaces, the end is cut."""
    text = text[: 4 * limit]  # before looking at every character: messages of megabytes are possible
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    text = " ".join(text.split())
    return shorten(text, limit)
