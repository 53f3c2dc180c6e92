"""The program that makes one preview for the page. ``asking`` starts it with ``python -I -m``. It reads settings and
a question from standard input, writes the answer to standard output, and ends when the process that started it does."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from gitsync import logs
from gitsync.errors import Forbidden, GitsyncError
from gitsync.preview.compose import commit_difference, preview
from gitsync.runtime.confine import end_with_parent
from gitsync.settings import Settings
from gitsync.web.ui.changes import Changes, shown


async def _answer(settings: Settings, question: list[str]) -> Changes:
    """Raises: GitsyncError."""
    kind, *about = question
    found = await (preview(settings, *about) if kind == "plan" else commit_difference(settings, *about))
    return await asyncio.to_thread(shown, found)


async def _told(given: dict[str, Any]) -> dict[str, Any]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        settings = Settings(**given["settings"])
        return {"changes": asdict(await _answer(settings, given["question"]))}
    except GitsyncError as error:
        is_forbidden = isinstance(error, Forbidden)
        return {"error": {"message": error.message, "hint": error.hint, "forbidden": is_forbidden}}


def main() -> None:
    """Answer one question."""
    end_with_parent()
    logs.configure("auto", "warning")
    try:
        given = json.load(sys.stdin)
        with suppress(asyncio.CancelledError):
            json.dump(asyncio.run(_told(given)), sys.stdout)
    finally:
        logs.shutdown()


if __name__ == "__main__":
    main()
