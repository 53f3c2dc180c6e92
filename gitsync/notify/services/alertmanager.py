"""Prometheus Alertmanager: POST /api/v2/alerts, one alert for each event."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gitsync.api.conditions import rfc3339
from gitsync.notify.notice import Notice
from gitsync.notify.target import Post, Target, json_post

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_]")
#: Facts that would make another alert of each commit; they are annotations.
_ANNOTATIONS = frozenset({"summary", "commit", "author", "subject"})


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One request with all alerts. Raises: SourceError."""
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    return [json_post(target.url, [_alert(notice) for notice in notices], headers)]


def _alert(notice: Notice) -> dict[str, Any]:
    facts = notice.facts()
    labels = {label_name(name): value for name, value in facts.items() if name not in _ANNOTATIONS}
    labels |= {
        "alertname": f"Flux{notice.key.kind}{notice.reason}",
        "severity": notice.severity,
        "reason": notice.reason,
        "kind": notice.key.kind,
        "name": notice.key.name,
        "namespace": notice.key.namespace,
    }
    annotations = {"message": notice.message} | {name: facts[name] for name in sorted(_ANNOTATIONS) if name in facts}
    return {"labels": labels, "annotations": annotations, "startsAt": rfc3339(notice.at)}


def label_name(name: str) -> str:
    """A key of metadata as Prometheus has names: without the API group before a slash."""
    found = _NOT_IN_NAMES.sub("_", name.rpartition("/")[2])
    return f"_{found}" if not found or found[0].isdigit() else found
