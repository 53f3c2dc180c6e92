"""Polls and intervals: when something is due by the clock, with jitter so that it is not due all at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from gitsync.defects import tell_defect

#: Part of an interval by which it varies: Flux's default.
JITTER = 0.05


class Schedule:
    """Calls functions on the loop at intervals or once. A second schedule of one name replaces the first."""

    def __init__(self) -> None:
        # A job that was missed, because the machine slept or the loop was busy, is due now, and once.
        self._scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
        self._intervals: dict[str, float] = {}

    def start(self) -> None:
        """Begin to call what is due, on the loop that runs. Calls that were added before wait for this."""
        self._scheduler.start()

    def stop(self) -> None:
        """End; nothing is called any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def every(self, name: str, seconds: float, call: Callable[..., Any], *args: Any) -> None:
        """Call ``call(*args)`` every ``seconds``, give or take JITTER; the first time one interval from now."""
        if self._intervals.get(name) == seconds:
            return
        self._intervals[name] = seconds
        trigger = IntervalTrigger(seconds=seconds, jitter=seconds * JITTER, timezone=UTC)
        self._scheduler.add_job(_soon(call), trigger, args=args, id=name, replace_existing=True)

    def once(self, name: str, delay: float, call: Callable[..., Any], *args: Any) -> None:
        """Call ``call(*args)`` on the loop in ``delay`` seconds, in place of an earlier schedule of this name. What it
        raises is logged as a defect, and ends nothing."""
        trigger = DateTrigger(datetime.now(UTC) + timedelta(seconds=delay))
        self._scheduler.add_job(_soon(call), trigger, args=args, id=name, replace_existing=True)

    def cancel(self, name: str) -> None:
        """Forget a schedule; nothing happens when there is none."""
        self._intervals.pop(name, None)
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return


def _soon(call: Callable[..., Any]) -> Callable[..., Any]:
    """APScheduler runs plain functions in a thread and coroutine functions on the loop; ours belong on the loop."""

    async def job(*args: Any) -> None:
        try:
            call(*args)
        except Exception as error:
            tell_defect("schedule", error)

    return job
