"""Saying a thing once: nothing is repeated while nothing else was said of its topic."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

from cachetools import LRUCache
from structlog.typing import FilteringBoundLogger as Logger


class Once:
    """What was said last of each topic of a key (an object, say). ``most``: of how many keys that is remembered."""

    def __init__(self, most: float = math.inf) -> None:
        self._said: LRUCache[Hashable, dict[str, str]] = LRUCache(most)

    def __call__(
        self, key: Hashable, log: Logger, event: str, *, topic: str = "state", level: str = "info", **fields: Any
    ) -> bool:
        """Log, unless the last line about this topic of this key said the same. True when it was logged."""
        if not self.is_news(key, f"{event} {fields}", topic):
            return False
        getattr(log, level)(event, **{name: value for name, value in fields.items() if value})
        return True

    def is_news(self, key: Hashable, text: str = "", topic: str = "state") -> bool:
        """Whether something else, or nothing, was said last of this topic of this key. ``text`` counts as said now."""
        said = self._said.setdefault(key, {})
        if said.get(topic) == text:
            return False
        said[topic] = text
        return True

    def over(self, key: Hashable, topic: str = "state") -> bool:
        """What was said of a topic is over. True when something was."""
        return self._said.get(key, {}).pop(topic, None) is not None

    def forget(self, key: Hashable) -> None:
        """The object is gone."""
        self._said.pop(key, None)
