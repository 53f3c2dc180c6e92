"""Waiting for a state that is seen on a watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitsync.cluster import Informer


async def until(watch: Informer, done: Callable[[], bool]) -> None:
    """Return when ``done`` says so; it is asked now and after each change of an object of ``watch``. Has no deadline of
    its own: put it into ``asyncio.timeout``.
    """
    changed = asyncio.Event()
    unsubscribe = watch.subscribe(lambda event: changed.set())
    try:
        while not done():
            await changed.wait()
            changed.clear()
    finally:
        unsubscribe()
