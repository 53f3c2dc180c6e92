"""Measures the CPU seconds that work takes, as on a machine that does nothing else. Other processes make each second
longer, by what they take of caches and of a core's halves: so it is compared with a fixed piece of work, done beside
it."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 5
#: Seconds that the fixed piece of work takes on the idle machine on which the tests' bounds were measured.
_USUAL = 0.0065


@dataclass
class Cost:
    """``seconds`` that the work would take on an idle machine; set when all is done."""

    seconds: float = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    """Measures what is done inside, by all threads of this process. The collector of cycles is off: its time depends
    on what all tests before have made."""
    cost, was_enabled = Cost(), gc.isenabled()
    gc.disable()
    try:
        before = _pace()
        began = time.process_time()
        yield cost
        took = time.process_time() - began
        cost.seconds = took * _USUAL / ((before + _pace()) / 2)
    finally:
        if was_enabled:
            gc.enable()


def costs_below(limit: float, work: Callable[[], T]) -> T:
    """Returns the result of ``work``. Fails when it costs more than ``limit`` seconds in each of some rounds."""
    found: list[float] = []
    for _ in range(ROUNDS):
        with measured() as cost:
            result = work()
        found.append(cost.seconds)
        if cost.seconds < limit:
            return result
    raise AssertionError(f"it cost {found} seconds, at the best more than {limit:g}")


def _pace() -> float:
    """Seconds that the fixed piece of work takes now."""
    began = time.process_time()
    known: dict[str, int] = {}
    for number in range(40_000):
        text = f"n{number % 997}"
        known[text] = known.get(text, 0) + len(text)
    return time.process_time() - began
