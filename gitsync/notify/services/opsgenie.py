"""Opsgenie: an alert for each event."""

from __future__ import annotations

from collections.abc import Sequence

from gitsync.notify.notice import CONTROLLER, Notice
from gitsync.notify.target import Post, Target, json_post
from gitsync.text import shorten

#: Characters (Alert API, "Create Alert").
MOST_MESSAGE, MOST_DESCRIPTION = 130, 15_000


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One request for each event. Raises: SourceError."""
    token = target.needs("token in its Secret", target.token)
    headers = {"Authorization": f"GenieKey {token}"}
    return [json_post(target.url, _alert(notice), headers) for notice in notices]


def _alert(notice: Notice) -> dict[str, object]:
    return {
        "message": shorten(notice.about, MOST_MESSAGE),
        "description": shorten(notice.message, MOST_DESCRIPTION),
        "source": CONTROLLER,
        "details": {"severity": notice.severity, "reason": notice.reason, **notice.facts()},
    }
