"""The last results of readyExprs. State only; no I/O."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from gitsync.api.identity import ObjectKey

#: A dependency of a release, with its readyExpr ("" without).
Need = tuple[ObjectKey, str]


class Answer(NamedTuple):
    """Why a readyExpr holds its release back ("": it does not), and for which version of the dependency."""

    why_not: str
    version: int = 0


_UNANSWERED = Answer("its readyExpr was not evaluated yet")


class Answers:
    """The answers of all releases."""

    def __init__(self) -> None:
        self._answers: dict[ObjectKey, dict[Need, Answer]] = {}

    def of(self, key: ObjectKey, need: Need) -> Answer:
        """The answer; one that holds the release back if the expression was not evaluated yet."""
        return self._answers.get(key, {}).get(need) or _UNANSWERED

    def note(self, key: ObjectKey, need: Need, answer: Answer, asked: Collection[Need]) -> bool:
        """Keep an answer; returns whether it differs from the one before. Forgets answers about needs that are not
        among ``asked``, which are all of the release."""
        before = self._answers.get(key, {})
        if before.get(need) == answer:
            return False
        self._answers[key] = {item: found for item, found in before.items() if item in asked} | {need: answer}
        return True

    def forget(self, key: ObjectKey) -> None:
        """The release is gone."""
        self._answers.pop(key, None)
