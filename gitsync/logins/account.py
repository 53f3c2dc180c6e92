"""A ServiceAccount by which gitsync logs in to a cloud: plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from re import Pattern

from gitsync.errors import LoginRefused


@dataclass(frozen=True, slots=True)
class Account:
    """``issue`` returns a token of it for one audience."""

    namespace: str
    name: str
    annotations: Mapping[str, str]
    issue: Callable[[str], Awaitable[str]] = field(repr=False, compare=False)

    def __str__(self) -> str:
        return f"ServiceAccount '{self.namespace}/{self.name}'"

    def annotated(self, name: str, pattern: Pattern[str]) -> str:
        """An annotation that is required. Raises: LoginRefused when it is missing or malformed."""
        if name not in self.annotations:
            raise LoginRefused(f"{self} has no annotation {name}", hint="it says as whom the cloud is asked: add it")
        return self.perhaps(name, pattern)

    def perhaps(self, name: str, pattern: Pattern[str]) -> str:
        """An annotation, "" when it is missing. Raises: LoginRefused when it is malformed."""
        value = self.annotations.get(name, "")
        if value and not pattern.fullmatch(value):
            raise LoginRefused(
                f"{self}: its annotation {name} cannot be used", hint=f"it has to match {pattern.pattern}"
            )
        return value
