"""CEL, evaluated in a process of its own: an expression of a commit can end or stall that one, never gitsync.

The process is started when the first expression is asked for, so that nobody pays for it who has none, and ends with
its standard input. See ``evaluator`` for its bounds.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess  # our own program, no shell
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from cachetools import LRUCache

from gitsync.errors import RetryableError
from gitsync.health import one_line

#: What came of an expression: a boolean, or why there is none.
Answer = bool | str

#: Characters of an expression. Flux has no limit; those of its documentation have a few hundred.
LONGEST = 8192
#: Seconds to wait for an answer, in which the machine may be busy with other things.
PATIENCE = 30.0
_KEPT = 512
#: Characters of an expression that a message quotes.
_QUOTED = 120
_EVALUATOR = Path(__file__).with_name("evaluator.py")
#: The signals that an expression brings upon the process, and what that says about it.
_TOO_MUCH = {
    signal.SIGPROF: "takes too long to evaluate",
    signal.SIGSEGV: "nests too deep",
    signal.SIGBUS: "nests too deep",
    signal.SIGABRT: "needs too much memory",
}


class Expressions:
    """Compiles and evaluates. To be closed, or entered: that ends the process."""

    def __init__(self) -> None:
        # One thread: the process answers one request after the other.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cel")
        self._process: subprocess.Popen[bytes] | None = None
        self._compiled: LRUCache[tuple[str, tuple[str, ...]], str] = LRUCache(_KEPT)
        #: Expressions that ended the process, and how: they get no second try.
        self._condemned: LRUCache[str, str] = LRUCache(_KEPT)

    async def error_of(self, text: str, names: tuple[str, ...] = ()) -> str:
        """What is wrong with an expression, "" when it compiles. ``names`` are the variables that it may use; without
        any it may use all.

        Raises: RetryableError when there is no telling.
        """
        if len(text) > LONGEST:
            return f"has {len(text)} characters; there may be {LONGEST}"
        known = self._compiled.get((text, names))
        if known is None:
            answer = await self._ask(text, {"compile": text, "names": names})
            known = "" if answer is True else str(answer)
            self._compiled[text, names] = known
        return known

    async def evaluate(self, text: str, variables: Mapping[str, Any]) -> Answer:
        """The answer to an expression. Raises: RetryableError when there is no telling."""
        return await self._ask(text, {"evaluate": text, "variables": variables})

    async def __aenter__(self) -> Expressions:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process, and what is being asked of it."""
        self._kill()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown()

    async def _ask(self, text: str, request: Mapping[str, Any]) -> Answer:
        if (why := self._condemned.get(text)) is not None:
            return why
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, text, request)
        except TimeoutError:
            self._kill()  # which ends the exchange, too
            raise RetryableError(f"no answer from the CEL evaluator within {PATIENCE:g}s") from None

    def _exchange(self, text: str, request: Mapping[str, Any]) -> Answer:
        """In the thread: one request and its answer."""
        try:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError as error:
            self._end()
            raise RetryableError(f"the CEL evaluator cannot be used: {error}") from error
        if not line.endswith(b"\n"):
            why = self._died()
            self._condemned[text] = why
            return why
        answer: Answer = json.loads(line)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", _EVALUATOR],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
        return self._process

    def _died(self) -> str:
        """What the process' end says about the expression that it was at.

        Raises: RetryableError when it says nothing about that.
        """
        code = self._end()
        if -code in _TOO_MUCH:
            return _TOO_MUCH[signal.Signals(-code)]
        raise RetryableError(f"the CEL evaluator ended with code {code}")

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(OSError), process:  # what it did not read any more cannot be flushed
            process.kill()  # too late to change how a process has ended that is at its end
        return process.wait()

    def _kill(self) -> None:
        if (process := self._process) is not None:
            process.kill()


def quoted(text: str) -> str:
    """An expression for a message: on one line, cut short."""
    return f"`{one_line(text, _QUOTED)}`"
