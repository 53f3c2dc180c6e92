"""Doing the work of several tests at once: installing charts is mostly waiting for the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from tests.parity.world import World

C = TypeVar("C")
T = TypeVar("T")
NewWorld = Callable[[], AbstractContextManager[World]]


@contextmanager
def ahead(
    new_world: NewWorld, cases: Iterable[C], scenario: Callable[[World, C], T], at_once: int = 4
) -> Iterator[Mapping[C, Future[T]]]:
    """Run ``scenario`` for each case at once, in a world of its own that lasts until this ends. A test takes the
    result of its case, or the error."""

    def run(case: C) -> T:
        return scenario(worlds.enter_context(new_world()), case)

    with ExitStack() as worlds, ThreadPoolExecutor(at_once) as threads:
        yield {case: threads.submit(run, case) for case in cases}
