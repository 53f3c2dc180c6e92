"""Saying a thing once: log lines that are not repeated while nothing else was said of their topic."""

from __future__ import annotations

from typing import Any

from structlog.typing import FilteringBoundLogger as Logger

from gitsync.api.identity import ObjectKey


class Once:
    """Log lines that are not repeated while nothing else was said of their topic."""

    def __init__(self) -> None:
        self._said: dict[ObjectKey, dict[str, str]] = {}

    def __call__(
        self, key: ObjectKey, log: Logger, event: str, *, topic: str = "state", level: str = "info", **fields: Any
    ) -> bool:
        """Log, unless the last line about this topic of this object said the same. True when it was logged."""
        said = self._said.setdefault(key, {})
        if said.get(topic) == (text := f"{event} {fields}"):
            return False
        said[topic] = text
        getattr(log, level)(event, **{name: value for name, value in fields.items() if value})
        return True

    def over(self, key: ObjectKey, topic: str = "state") -> bool:
        """What was said of a topic is over. True when something was."""
        return bool(self._said.get(key, {}).pop(topic, ""))

    def forget(self, key: ObjectKey) -> None:
        """The object is gone."""
        self._said.pop(key, None)
