"""The worker processes of this test's process."""

from __future__ import annotations

from contextlib import suppress

import psutil


def workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            if "gitsync.runtime.child" in process.cmdline():
                found.append(process)
    return found


def busy() -> list[psutil.Process]:
    """The worker processes that have been at work for longer than starting takes."""
    return [process for process in workers() if process.cpu_times().user > 0.6]
