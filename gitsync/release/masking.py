"""Keeping what Secrets hold out of errors: the API server quotes the values that it does not take. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from gitsync.errors import ApiError, GitsyncError

E = TypeVar("E", bound=GitsyncError)

#: Shorter ones are no secrets, and would make every message unreadable.
_SHORTEST = 3
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'[^'\n]*'|`[^`]*`""", re.DOTALL)
_REFUSED = re.compile(r"((?:Invalid|Unsupported|Duplicate) value: )([^\s\"';,]*[^\s\"';,:])")
MASK = "…"


def leaves(value: Any) -> Iterator[str]:
    """Every scalar in a tree of values, as text, but for what is too short to be a secret."""
    if isinstance(value, dict):
        for below in value.values():
            yield from leaves(below)
    elif isinstance(value, list):
        for below in value:
            yield from leaves(below)
    elif value is not None and not isinstance(value, bool):
        text = str(value).strip()
        if len(text) >= _SHORTEST:
            yield text


def without_secrets(error: E, secrets: Iterable[str]) -> E:
    """The same error; of its words, what is quoted and holds one of ``secrets`` is masked."""
    found = [secret for secret in secrets if secret]
    if found:
        error.message = _masked(error.message, found)
        error.hint = _masked(error.hint, found)
        error.args = (error.message,)
        if isinstance(error, ApiError):
            error.causes = tuple((field, _masked(text, found)) for field, text in error.causes)
    return error


def _masked(text: str, secrets: list[str]) -> str:
    def quoted(match: re.Match[str]) -> str:
        plain = match[0].replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        return MASK if any(secret in plain for secret in secrets) else match[0]

    def bare(match: re.Match[str]) -> str:
        return match[1] + (MASK if any(secret in match[2] for secret in secrets) else match[2])

    return _REFUSED.sub(bare, _QUOTED.sub(quoted, text))
