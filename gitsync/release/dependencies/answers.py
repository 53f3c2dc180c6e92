"""What readyExprs said of dependencies as they were when they were asked. State only; no I/O."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gitsync.api.identity import ObjectKey

#: What a release depends on, with its readyExpr about it ("" without).
Need = tuple[ObjectKey, str]


class Answer(NamedTuple):
    """Why a readyExpr holds its release back ("": it does not), and of which version of the dependency that is said."""

    why_not: str
    version: int = 0


_UNANSWERED = Answer("its readyExpr was not evaluated yet")


class Answers:
    """By release, then by what it needs."""

    def __init__(self) -> None:
        self._answers: dict[ObjectKey, dict[Need, Answer]] = {}

    def of(self, key: ObjectKey, need: Need) -> Answer:
        """The answer; that there is none yet holds back, too."""
        return self._answers.get(key, {}).get(need) or _UNANSWERED

    def note(self, key: ObjectKey, need: Need, answer: Answer, asked: Collection[Need]) -> bool:
        """Whether it is another than before. Those to what is ``asked`` no more are forgotten."""
        before = self._answers.get(key, {})
        if before.get(need) == answer:
            return False
        self._answers[key] = {item: found for item, found in before.items() if item in asked} | {need: answer}
        return True

    def forget(self, key: ObjectKey) -> None:
        """The release is gone."""
        self._answers.pop(key, None)
