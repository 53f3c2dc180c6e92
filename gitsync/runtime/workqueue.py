"""One worker per key, woken by name: the queue between what changes and what is done about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import copy_context
from typing import Generic, TypeVar

from gitsync.cluster import work_for
from gitsync.defects import tell_defect
from gitsync.metering import METER
from gitsync.runtime.interrupt import Interrupt

K = TypeVar("K", bound=Hashable)
#: Does one pass for a key; returns the seconds after which to come back by itself, None for "when woken".
Work = Callable[[K, Interrupt], Awaitable[float | None]]
#: Seconds until a key whose pass ended in a defect of ours is tried again.
AFTER_DEFECT = 30.0


class WorkQueue(Generic[K]):
    """Runs ``work`` for woken keys: never twice at once for one key, again when woken meanwhile.

    A key is woken often and for many reasons; passes are level-triggered, so wakes that come while one waits are one.
    """

    def __init__(self, work: Work[K], name: str) -> None:
        self._work = work
        self._name = name
        self._running: dict[K, tuple[asyncio.Task[None], Interrupt]] = {}
        self._again: set[K] = set()
        #: Keys of ``_running`` whose pass has begun: the others' tasks have yet to start, and need no second pass.
        self._begun: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        #: When the last pass of a key ended that comes back by itself, by the loop's clock.
        self._put_off: dict[K, float] = {}
        self._stopped = False
        self._meter = METER.queue(name)
        #: Passes run in the context of who made the queue: what they report is not for the one who woke the key.
        self._context = copy_context()

    @property
    def is_busy(self) -> bool:
        """Whether a pass is under way."""
        return bool(self._running)

    def wake(self, key: K, interrupt: str = "") -> None:
        """Do a pass for ``key`` soon. With a reason in ``interrupt``, the pass under way is asked to end first."""
        if self._stopped:
            return
        self._put_off.pop(key, None)
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._meter.woken(key)
        if key not in self._running:
            self._start(key)
        elif key in self._begun:  # else it has yet to look at anything
            self._again.add(key)
            if interrupt:
                self._running[key][1].set(interrupt)

    def wake_later(self, key: K, delay: float) -> None:
        """Wake ``key`` after ``delay`` seconds, unless it is woken before."""
        if self._stopped or key in self._again:
            return
        if (timer := self._timers.pop(key, None)) is not None:
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self.wake, key)

    def wake_within(self, key: K, delay: float) -> None:
        """Wake ``key`` after ``delay`` seconds, or when it is to be woken by then anyway."""
        timer = self._timers.get(key)
        if timer is None or timer.when() > asyncio.get_running_loop().time() + delay:
            self.wake_later(key, delay)

    def wake_failed(self, seconds: float) -> None:
        """Wake the keys whose pass ended within the last ``seconds`` and that would come back by themselves. For when
        what may have made them all fail (the API server was away) is over: after many failures they would be late."""
        since = asyncio.get_running_loop().time() - seconds
        for key in [key for key, ended in self._put_off.items() if ended >= since]:
            self.wake(key)

    async def stop(self, grace: float) -> None:
        """Take no more keys; let what is under way end within ``grace`` seconds, then cancel it.

        A cancelled pass leaves its release's record pending, and the next start goes on from there.
        """
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._put_off.clear()
        for key in self._again:
            self._meter.dropped(key)
        tasks = [task for task, _ in self._running.values()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _start(self, key: K) -> None:
        interrupt = Interrupt()
        loop, name = asyncio.get_running_loop(), f"{self._name} {key}"
        task = loop.create_task(self._pass(key, interrupt), name=name, context=self._context.copy())
        self._running[key] = (task, interrupt)

    async def _pass(self, key: K, interrupt: Interrupt) -> None:
        delay, result = None, "error"
        work_for(getattr(key, "namespace", ""))
        self._begun.add(key)
        self._meter.began(key)
        try:
            delay = await self._work(key, interrupt)
            result = "success" if delay is None else "requeue_after"
        except Exception as error:
            tell_defect(self._name, error, key=str(key))
            delay = AFTER_DEFECT
        finally:
            del self._running[key]
            self._begun.discard(key)
            self._meter.ended(key, result)
            if key in self._again and not self._stopped:
                self._again.discard(key)
                self._start(key)
            elif delay is not None and not self._stopped:
                self.wake_later(key, delay)
                self._put_off[key] = asyncio.get_running_loop().time()
