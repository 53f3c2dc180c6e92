"""When Kustomizations that wait for others are told of."""

from __future__ import annotations

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.runtime.progress import SILENCE
from gitsync.sync.kustomization.reconcile import patience
from gitsync.sync.kustomization.reconcile.patience import BETWEEN_WORDS, PACE, Patience


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(patience, "time", clock)
    return clock


def key(name: str) -> ObjectKey:
    return ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, "default", name)


def test_one_that_waits_is_told_of_after_a_moment_and_again_for_whom_else_it_waits(clock: Clock) -> None:
    of, on = Patience(), frozenset({key("a"), key("b")})
    assert of.until_told(key("c"), on) == SILENCE
    clock.now += SILENCE
    assert of.until_told(key("c"), on) == 0.0
    assert of.until_told(key("c"), on - {key("a")}) == BETWEEN_WORDS
    clock.now += PACE
    assert of.until_told(key("c"), frozenset({key("d")})) == 0.0


def test_of_many_that_wait_one_after_the_other_is_told_of_and_none_that_is_at_work_by_then(clock: Clock) -> None:
    of, on, waiting = Patience(), frozenset({key("a")}), [key(f"c{number}") for number in range(20)]
    due = {one: clock.now + of.until_told(one, on) for one in waiting}
    told: dict[ObjectKey, float] = {}
    passes = 0
    while due:
        one = min(due, key=lambda item: due[item])
        clock.now = due.pop(one)
        if one == waiting[7]:
            of.not_waiting(one)
            continue
        passes += 1
        if (left := of.until_told(one, on)) > 0:
            due[one] = clock.now + left
        else:
            told[one] = round(clock.now - 1000.0 - SILENCE, 6)
    assert list(told) == [one for one in waiting if one != waiting[7]]
    assert list(told.values()) == [round(number * PACE, 6) for number in range(19)]
    assert passes <= 2 * len(waiting)  # each looks once more, at its turn
