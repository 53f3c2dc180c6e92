"""Keeps values of Secrets out of errors: the API server quotes values that it refuses, and templates may fail with any
text. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from gitsync.errors import ApiError, GitsyncError
from gitsync.logs import mask_secrets
from gitsync.text import MASK, mask_quoted

E = TypeVar("E", bound=GitsyncError)

_REFUSED = re.compile(r"((?:Invalid|Unsupported|Duplicate) value: )([^\s\"';,]*[^\s\"';,:])")


def without_secrets(error: E, secrets: Iterable[str]) -> E:
    """The same error, its message masked: quoted values that contain one of ``secrets``, and these themselves
    (``mask_secrets``)."""
    found = [secret for secret in secrets if secret]
    if found:
        error.message = _masked(error.message, found)
        error.hint = _masked(error.hint, found)
        error.args = (error.message,)
        if isinstance(error, ApiError):
            error.causes = tuple((field, _masked(text, found)) for field, text in error.causes)
    return error


def _masked(text: str, secrets: list[str]) -> str:
    def bare(match: re.Match[str]) -> str:
        return match[1] + (MASK if any(secret in match[2] for secret in secrets) else match[2])

    text = mask_quoted(text, lambda quoted, plain: any(secret in plain for secret in secrets))
    return mask_secrets(_REFUSED.sub(bare, text), secrets)
