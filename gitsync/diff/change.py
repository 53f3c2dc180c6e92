"""A difference, as data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.text import listed

Path = tuple[str | int, ...]

_PLAIN = re.compile(r"[\w-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs. ``before`` or ``after`` is None where the field is not there (null counts as not there).

    ``path`` leads through the object that has the field: an element of a list is named by its place in ``after``, a
    removed one by its place in ``before``. The empty path is the whole object. Values of a Secret are masked.
    """

    path: Path
    before: Any
    after: Any

    def __str__(self) -> str:
        return format_path(self.path)


def format_path(path: Sequence[str | int]) -> str:
    """``spec.template.spec.containers[0].image``, ``metadata.labels["app.kubernetes.io/name"]``"""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


def summary(changes: Sequence[Change], most: int = 3) -> str:
    """The fields that differ, for one log line: ``spec.replicas, spec.paused and 4 more``. No values: they may be long,
    and in a HelmRelease credentials.
    """
    return listed((format_path(change.path) or "the whole object" for change in changes), most)
