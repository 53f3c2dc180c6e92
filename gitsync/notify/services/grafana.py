"""Grafana: an annotation for each event."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from gitsync.notify.notice import CONTROLLER, Notice
from gitsync.notify.services.message import commit_line
from gitsync.notify.target import Post, Target, json_post


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One request for each event (Grafana: POST /api/annotations). Raises: SourceError."""
    headers = {}
    if target.token:
        headers["Authorization"] = f"Bearer {target.token}"
    elif target.username and target.password:
        login = base64.b64encode(f"{target.username}:{target.password}".encode()).decode()
        headers["Authorization"] = f"Basic {login}"
    return [json_post(target.url, _annotation(notice), headers) for notice in notices]


def _annotation(notice: Notice) -> dict[str, object]:
    cause = commit_line(notice)
    tags = ["flux", CONTROLLER, *(f"{name}: {value}" for name, value in notice.facts().items())]
    tags += [f"kind: {notice.key.kind}", f"name: {notice.key.name}", f"namespace: {notice.key.namespace}"]
    text = f"{notice.about}\n{notice.message}" + (f"\n{cause}" if cause else "")
    return {"time": int(notice.at.timestamp() * 1000), "text": text, "tags": tags}
