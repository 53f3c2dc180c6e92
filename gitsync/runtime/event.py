"""What is told of an object as a Kubernetes Event. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Event:
    """One Event: ``kind`` is its type. It is told after ``delay`` seconds, unless its object has other news by then."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str
    delay: float = 0.0
