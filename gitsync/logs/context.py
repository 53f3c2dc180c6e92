"""The commit a line is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitsync.api.identity import CommitInfo


def commit_context(commit: CommitInfo) -> dict[str, str]:
    """The fields that every line which ``commit`` caused carries: ``commit`` (short id), ``author``, ``subject``."""
    fields = {"commit": commit.short, "author": commit.author, "subject": commit.subject}
    return {name: value for name, value in fields.items() if value}
