"""Kubernetes' Events. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from gitsync.api.identity import Manifest


def last_seen(event: Manifest) -> datetime:
    """When an event happened last. Kubernetes' two APIs for events write that in different fields."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    text = next((time for time in times if time), "") or event["metadata"].get("creationTimestamp", "")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.fromtimestamp(0, UTC)
