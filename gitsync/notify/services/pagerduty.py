"""PagerDuty: Events API v2. An error triggers an incident of its object, anything else resolves it and is a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yarl import URL

from gitsync.api.conditions import rfc3339
from gitsync.notify.notice import CONTROLLER, Notice
from gitsync.notify.target import Post, Target, json_post
from gitsync.text import shorten

#: Characters (Events API v2, payload.summary).
MOST_SUMMARY = 1024


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One request for each error, two for anything else. Raises: SourceError."""
    key = target.needs("spec.channel (the routing key)", target.channel or target.token)
    found = []
    for notice in notices:
        found.append(json_post(_endpoint(target, "v2/enqueue"), _event(notice, key)))
        if notice.severity == "info":
            found.append(json_post(_endpoint(target, "v2/change/enqueue"), _change(notice, key)))
    return found


def _endpoint(target: Target, path: str) -> URL:
    """Beside what the address says, which may have the path of the API already."""
    return target.url.with_path(f"/{path}")


def _event(notice: Notice, key: str) -> dict[str, Any]:
    is_error = notice.severity == "error"
    return {
        "routing_key": key,
        "event_action": "trigger" if is_error else "resolve",
        "dedup_key": notice.uid or notice.about,
        "payload": {
            "summary": shorten(f"{notice.about}: {' '.join(notice.message.split())}", MOST_SUMMARY),
            "source": f"Flux {notice.about}",
            "severity": "error" if is_error else "info",
            "timestamp": rfc3339(notice.at),
            "component": notice.about,
            "class": notice.reason,
            "custom_details": notice.facts(),
        },
        "client": CONTROLLER,
    }


def _change(notice: Notice, key: str) -> dict[str, Any]:
    return {
        "routing_key": key,
        "payload": {
            "summary": shorten(f"{notice.about}: {' '.join(notice.message.split())}", MOST_SUMMARY),
            "source": f"Flux {notice.about}",
            "timestamp": rfc3339(notice.at),
            "custom_details": notice.facts(),
        },
    }
