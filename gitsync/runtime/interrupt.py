"""How a newer desired state ends what is under way for an older one."""

from __future__ import annotations

import asyncio

from gitsync.errors import Superseded


class Interrupt:
    """Set once, with a reason for people; whoever waits looks at it. No cancellation: the work ends in good order."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason = ""

    def set(self, reason: str) -> None:
        """Ask the work to end. The first reason stays."""
        if not self._event.is_set():
            self.reason = reason
            self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return when somebody asks."""
        await self._event.wait()

    def check(self) -> None:
        """Raises: Superseded when somebody asked."""
        if self._event.is_set():
            raise Superseded(self.reason)
