"""Doing something beside something else, and being done with both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Do ``work`` while the body runs; leaving waits for it. What it raises is raised on leaving, unless the body has
    raised something itself.
    """
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        failure = task.exception()
    if failure is not None:
        raise failure
