"""The commit a line is about, explicitly or through contextvars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.contextvars import bound_contextvars

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from gitsync.api.identity import CommitInfo


def commit_context(commit: CommitInfo) -> dict[str, str]:
    """The fields that every line which ``commit`` caused carries: ``commit`` (short id), ``author``, ``subject``."""
    fields = {"commit": commit.short, "author": commit.author, "subject": commit.subject}
    return {name: value for name, value in fields.items() if value}


def for_commit(commit: CommitInfo) -> AbstractContextManager[None]:
    """``with for_commit(info):`` gives every line logged inside, and in tasks started inside, the commit's fields."""
    return bound_contextvars(**commit_context(commit))
