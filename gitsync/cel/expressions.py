"""CEL, evaluated in a process of its own: an expression of a commit can end or stall that one, never gitsync.

The process is started when the first expression is asked for, so that nobody pays for it who has none, and ends with
this one. It answers one question after the other, and owners take turns: of whoever asks for what ends it again and
again, others wait for one try.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from cachetools import LRUCache

from gitsync.errors import RetryableError
from gitsync.health import one_line
from gitsync.runtime.bounded import Bounds, Child, Ended
from gitsync.runtime.fairslots import FairSlots

#: What came of an expression: a boolean, or why there is none.
Answer = bool | str
_Raw = Answer | list[Any]

#: Characters of an expression. Flux has no limit; those of its documentation have a few hundred.
LONGEST = 8192
#: Seconds to wait for an answer, in which the machine may be busy with other things.
PATIENCE = 30.0
_KEPT = 512
#: Characters of an expression that a message quotes.
_QUOTED = 120
_EVALUATOR = "gitsync.cel.evaluator"
#: Real expressions take less than a thousandth of the time.
_BOUNDS = Bounds(memory=64 << 20, cpu=0.5, answer=1 << 20)
#: What an expression brings upon the process, and what that says about it.
_TOO_MUCH: Mapping[int | str, str] = {
    "time": "takes too long to evaluate",
    "memory": "needs too much memory",
    signal.SIGSEGV: "nests too deep",
    signal.SIGBUS: "nests too deep",
    signal.SIGABRT: "needs too much memory",
}


class Expressions:
    """Compiles and evaluates. To be closed, or entered: that ends the process.

    What an owner's expression has ended the process with gets no second try of that owner, unless it ``forgives``:
    where the variables are somebody else's than the expression, that was not its own doing.
    """

    def __init__(self, *, forgives: bool = False, owner: str = "", process: _Process | None = None) -> None:
        self._forgives = forgives
        self._owner = owner
        self._lent = process is not None
        self._process = process or _Process()

    def of(self, owner: str, *, forgives: bool = False) -> Expressions:
        """The same process, asked on behalf of an owner, a namespace; who has it so does not end it."""
        return Expressions(forgives=forgives, owner=owner, process=self._process)

    async def error_of(self, text: str, names: tuple[str, ...] = ()) -> str:
        """What is wrong with an expression, "" when it compiles. ``names`` are the variables that it may use; without
        any it may use all.

        Raises: RetryableError when there is no telling.
        """
        if len(text) > LONGEST:
            return f"has {len(text)} characters; there may be {LONGEST}"
        compiled = self._process.compiled
        known = compiled.get((text, names))
        if known is None:
            answer = await self._ask("compile_expression", {"text": text, "names": names})
            known = "" if answer is True else str(answer)
            compiled[text, names] = known
        return known

    async def evaluate(self, text: str, variables: Mapping[str, Any], named: Sequence[tuple[str, str]] = ()) -> Answer:
        """The answer to an expression. ``named`` are names and expressions: the value of each is ``vars.<name>`` to
        those behind it, and to this one. Raises: RetryableError when there is no telling."""
        asked = {"text": text, "variables": variables, "named": list(named)}
        answer = await self._ask("evaluate_expression", asked)
        return answer if isinstance(answer, bool) else str(answer)

    async def evaluate_each(
        self, text: str, variables: Mapping[str, Any], name: str, values: Sequence[Any]
    ) -> list[Answer]:
        """The answers for each of ``values`` of the variable ``name``, in one go: what takes too long for that is asked
        one by one. Raises: RetryableError when there is no telling."""
        asked = {"text": text, "variables": variables, "name": name, "values": list(values)}
        answers = await self._ask("evaluate_each", asked)
        if isinstance(answers, list):
            return answers
        if len(values) == 1:
            return [answers]
        return [await self.evaluate(text, {**variables, name: value}) for value in values]

    async def evaluate_text(self, text: str, variables: Mapping[str, Any]) -> tuple[bool, str]:
        """Whether an expression gives a string; that one, or why none.

        Raises: RetryableError when there is no telling.
        """
        answer = await self._ask("evaluate_text", {"text": text, "variables": variables})
        if isinstance(answer, list):
            return bool(answer[0]), str(answer[1])
        return False, str(answer)  # what it brought upon the process

    async def __aenter__(self) -> Expressions:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process, and what is being asked of it."""
        if not self._lent:
            await self._process.close()

    async def _ask(self, call: str, request: Mapping[str, Any]) -> _Raw:
        return await self._process.ask(self._owner, call, request, forgives=self._forgives)


class _Process:
    """The process, of which all owners ask one thing after the other, and what is known of what it was asked."""

    def __init__(self) -> None:
        self._child: Child | None = None
        self._turns = FairSlots(1, "expressions")
        self._closed = False
        self.compiled: LRUCache[tuple[str, tuple[str, ...]], str] = LRUCache(_KEPT)
        #: By owner, expressions that ended the process, and how: with others' variables they may well do.
        self._condemned: LRUCache[tuple[str, str], str] = LRUCache(_KEPT)

    async def close(self) -> None:
        self._closed = True
        if self._child is not None:
            self._child.kill()
        async with self._turns.held(""):
            await self._end()

    async def ask(self, owner: str, call: str, request: Mapping[str, Any], *, forgives: bool) -> _Raw:
        known = (owner, request["text"])
        try:
            async with asyncio.timeout(PATIENCE), self._turns.held(owner):
                if self._closed:
                    raise RetryableError("the CEL evaluator has been ended")
                if not forgives and (why := self._condemned.get(known)) is not None:
                    return why
                answer, is_final = await self._exchange(call, request)
                if is_final and (not forgives or call == "compile_expression"):
                    self._condemned[known] = str(answer)
                return answer
        except TimeoutError:
            raise RetryableError(f"no answer from the CEL evaluator within {PATIENCE:g}s") from None

    async def _exchange(self, call: str, request: Mapping[str, Any]) -> tuple[_Raw, bool]:
        """The answer, and whether it is what the process has come to its end with."""
        answered = False
        try:
            if self._child is None:
                child = Child(_BOUNDS, [_EVALUATOR])
                await child.start()
                self._child = child
            answer: _Raw = (await self._child.ask(f"{_EVALUATOR}:{call}", request))[0]
            answered = True
        except Ended as end:
            if (why := _TOO_MUCH.get(end.limit) or _TOO_MUCH.get(end.signal)) is None:
                raise RetryableError(f"the CEL evaluator ended with code {end.code}") from None
            return why, True
        except OSError as error:
            raise RetryableError(f"the CEL evaluator cannot be used: {error}") from error
        finally:
            if not answered:  # nor would it be of use to anybody else
                await self._end()
        return answer, False

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await asyncio.shield(child.close())


def quoted(text: str) -> str:
    """An expression for a message: on one line, cut short."""
    return f"`{one_line(text, _QUOTED)}`"
