"""Previews for the page, the same as ``gitsync plan`` and ``gitsync diff`` show. Each is made in a process of its
own (``answering``), since it takes seconds of a processor and some hundred megabytes, which the page must not
notice. It is ended when its answer is not wanted any more."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, TypeAdapter

from gitsync.errors import Forbidden, GitsyncError, RetryableError
from gitsync.settings import Settings
from gitsync.web.ui.changes import Changes
from gitsync.web.ui.questions import Heads

_PROGRAM: Final = "gitsync.preview.answering"
_BRANCHES: Final = "refs/heads/"
#: Seconds for a process that is told to end to put things in order.
_GRACE: Final = 3.0
_CHANGES: Final = TypeAdapter(Changes)


@dataclass(frozen=True)
class AskedRepository:
    """The repository of the settings, read with the credentials that they name. See Repository of
    ``gitsync.web.ui``."""

    settings: Settings

    @property
    def url(self) -> str:
        """See Repository."""
        from gitsync.git import redacted_url

        return redacted_url(self.settings.repo)

    async def difference(self, old: str, new: str) -> Changes:
        """See Repository."""
        return await self._answer("difference", old, new)

    async def plan(self, branch: str) -> Changes:
        """See Repository."""
        return await self._answer("plan", branch)

    async def heads(self) -> Heads:
        """See Repository."""
        parts: Any = await asyncio.to_thread(importlib.import_module, "gitsync.agent.parts")
        async with parts.open_mirror(self.settings) as mirror:
            commit, refs = await mirror.head(), await mirror.refs({"HEAD", f"{_BRANCHES}*"})
            followed = str(mirror.source.reference) if self.settings.branch else f"branch {mirror.default_branch}"
        branches = {name.removeprefix(_BRANCHES): found for name, found in refs.items() if name.startswith(_BRANCHES)}
        return Heads(followed.replace("`", ""), commit, branches)

    async def _answer(self, *question: str) -> Changes:
        given = json.dumps({"settings": _given(self.settings), "question": question}).encode()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", _PROGRAM, stdin=PIPE, stdout=PIPE, start_new_session=True
        )
        try:
            answer, _ = await process.communicate(given)
        finally:
            if process.returncode is None:
                await asyncio.shield(_ended(process))
        return await asyncio.to_thread(_told, answer)


def _given(settings: Settings) -> dict[str, Any]:
    """All settings as plain values, secrets included: only for the pipe to our own process."""
    found: dict[str, Any] = {}
    for name, value in settings:
        value = value.get_secret_value() if isinstance(value, SecretStr) else value
        found[name] = str(value) if isinstance(value, Path) else value
    return found


def _told(answer: bytes) -> Changes:
    """The answer of the process. Raises: Forbidden and GitsyncError, as the process met them; RetryableError when it
    has answered nothing."""
    told = json.loads(answer) if answer else {}
    if "changes" in told:
        return _CHANGES.validate_python(told["changes"])
    error = told.get("error")
    if error is None:
        raise RetryableError("the process that compares has ended without an answer", hint="its output says more")
    if error["forbidden"]:
        raise Forbidden(error["message"], status=403, hint=error["hint"])
    raise GitsyncError(error["message"], hint=error["hint"])


async def _ended(process: Process) -> None:
    """End a process in good order, or else with all that it has started in its session."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_GRACE):
            await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
