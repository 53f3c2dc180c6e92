"""What a sync has done so far: counted, for the last line; listed, for the journal; said, for the log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.apply.claimant import Claimant
from gitsync.backoff import Reminders
from gitsync.errors import GitsyncError, KindUnknown
from gitsync.logs import commit_context, redact
from gitsync.metering import METER
from gitsync.sync.reporting.timeline import Timeline
from gitsync.sync.storage.history import DONE, MAX_CHANGES, JournalChange, JournalEntry, Result
from gitsync.text import listed

log = structlog.get_logger(__name__)

COUNTED = ("created", "changed", "deleted", "unchanged", "failed", "waiting")
#: What metrics call the sync of the settings.
ROOT = "root"
#: Counts that are left out of the last line when they are 0.
_SOMETIMES = ("suspended",)
#: Objects that fail for one reason: so many have a line of their own, and so many are named in the line about the rest.
_EACH, _NAMED = 2, 5


class Failures:
    """The objects that failed in all tries of a commit, by the reason: those with a log line of their own, and those
    that were counted in the line about the rest."""

    def __init__(self) -> None:
        self._each: dict[str, list[ObjectKey]] = {}
        self._others: dict[str, set[ObjectKey]] = {}

    def has_own_line(self, reason: str, key: ObjectKey) -> bool:
        """Whether an object is among the first that failed for a reason. Notes it as such, if there is room."""
        first = self._each.setdefault(reason, [])
        if key not in first and len(first) < _EACH:
            first.append(key)
        return key in first

    def others(self, reason: str, keys: Iterable[ObjectKey]) -> tuple[list[ObjectKey], bool]:
        """Those of ``keys`` that have no line of their own, and whether one of them has not been counted before."""
        first, counted = self._each.get(reason, ()), self._others.setdefault(reason, set())
        others = sorted(key for key in set(keys) if key not in first)
        is_news = not counted.issuperset(others)
        counted.update(others)
        return others, is_news

    def like(self, reason: str) -> ObjectKey:
        """The first one that failed for a reason."""
        return self._each[reason][0]


class Repeated:
    """Log lines that each further try of the same commit would repeat; ``reminders`` decides when one is due again."""

    def __init__(self, log: FilteringBoundLogger, reminders: Reminders) -> None:
        self._log = log
        self._reminders = reminders

    def __call__(self, level: str, event: str, **fields: Any) -> None:
        """Log the line, if it is due."""
        self.timed(level, event, fields)

    def news(self, level: str, event: str, topic: str, fields: Mapping[str, Any], *, is_news: bool) -> None:
        """As a call, for a line about a ``topic``, which is due, too, when there is news of that."""
        is_due = self._reminders.is_due(f"{event} {topic}")
        getattr(self._log, level if is_due or is_news else "debug")(event, **fields)

    def timed(self, level: str, event: str, fields: Mapping[str, Any], took: float | None = None) -> None:
        """As a call, for a line with the seconds that something ``took``: another number does not make it due."""
        is_due = self._reminders.is_due(f"{event} {fields}")
        more = fields if took is None else {**fields, "took": took}
        getattr(self._log, level if is_due else "debug")(event, **more)


class Report:
    """What one sync of one commit has done. ``log`` has the commit on every line, and ``context``, which names the
    sync. ``repeated`` is for lines that a further try would repeat; the ``reminders`` and ``failures`` given to each
    try remember those."""

    def __init__(
        self,
        commit: CommitInfo,
        context: Mapping[str, str],
        reminders: Reminders | None = None,
        failures: Failures | None = None,
    ) -> None:
        self.commit = commit
        self.log: FilteringBoundLogger = log.bind(**context, **commit_context(commit))
        self.repeated = Repeated(self.log, reminders or Reminders())
        self.counts: Counter[str] = Counter()
        self.changes: list[JournalChange] = []
        self._keys: dict[str, ObjectKey] = {}
        #: What was done about each object, and when.
        self.timeline = Timeline()
        #: Whether the line "sync started" was written: then there is a last line, too.
        self.begun = False
        #: The journal with its entry, once that is being written, and whether it has been.
        self.journal: tuple[JournalEntry, ...] = ()
        self.written = False
        #: The errors of what could not be applied or deleted, and of what has not become ready.
        self.problems: list[GitsyncError] = []
        self.unready: list[GitsyncError] = []
        #: Objects that are to be deleted and are still there for somebody else's sake, each with the reason.
        self.left: list[str] = []
        #: Whether something has failed that this sync should try again (releases are tried again by themselves).
        self.retry = False
        self._said = failures or Failures()
        #: The objects that have failed, by the reason.
        self._failed: dict[str, list[ObjectKey]] = {}
        self._sync = context.get("sync", ROOT)
        self._started = time.monotonic()
        self._began = time.time()

    @property
    def took(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._started

    def done(self, verb: str, key: ObjectKey, origin: str = "", why: str = "") -> None:
        """Something was done to an object: one log line, one change in the journal."""
        self.counts[verb] += 1
        if (namesake := self._keys.get(str(key), key)) != key:  # as where an object moves to another API group
            group = f"of API group {key.group!r}, not {namesake.group!r}"
            why = f"{why}; {group}" if why else group
        self._note(verb, key, origin, why)
        self.log.info(f"object {verb}", object=key, **_given(origin=origin, why=why))

    def inherited(self, done: Iterable[tuple[str, ObjectKey, str]]) -> None:
        """Another agent has done this for the commit: verb, object and origin. One log line for all of it."""
        number: Counter[str] = Counter()
        for verb, key, origin in done:
            number[verb] += 1
            # An object that is to be deleted may as well have been deleted by hand.
            self._note(verb, key, origin, "it was gone already" if verb == "deleted" else "by an agent before this one")
        if number:
            self.counts.update(number)
            self.begun = True
            self.log.info("commit was begun by an agent before this one", **number)

    def failed(self, key: ObjectKey, error: GitsyncError, origin: str = "") -> None:
        """An object could not be applied or deleted."""
        self.counts["failed"] += 1
        self.retry = True
        self.problems.append(error)
        self._note("failed", key, origin, error.message)
        reason = _reason(key, error)
        self._failed.setdefault(reason, []).append(key)
        if self._said.has_own_line(reason, key):
            self.repeated("error", "object failed", object=key, error=error, **_given(origin=origin))

    def not_ready(self, error: GitsyncError) -> None:
        """An object that was applied has not become ready."""
        self.counts["failed"] += 1
        self.unready.append(error)
        self.repeated("error", "not ready", error=error)

    def handed_over(self, key: ObjectKey, claimant: Claimant, origin: str = "") -> None:
        """An object that left Git stays, since another claimant wants it, or may want it."""
        why = f"to {claimant}" if not claimant.doubt else claimant.may_want_it
        self._note("handed over" if not claimant.doubt else "kept", key, origin, why)
        if claimant.doubt:
            self.log.warning("object kept", object=str(key), why=why, **_given(origin=origin))
        else:
            self.log.info("object handed over", object=str(key), to=str(claimant), **_given(origin=origin))

    def outcome(self, verb: str, key: ObjectKey, why: str) -> None:
        """How a release that this commit changed has ended up. Only for the journal: the release logs it itself."""
        self.counts[verb] += 1
        self._note(verb, key, why=why)

    def would_delete(self, key: ObjectKey, origin: str = "") -> None:
        """A commit that is held would delete this object. Only for the journal."""
        self._note("waiting", key, origin, "would be deleted")

    def suspended(self, key: ObjectKey) -> None:
        """A release that this commit changes is suspended."""
        why = "what this commit changes of it waits until it is resumed"
        self.outcome("suspended", key, why)
        self.log.info("release is suspended", release=key, why=why)

    def unchanged(self, number: int) -> None:
        """Count objects that are as they should be."""
        self.counts["unchanged"] += number

    def finish(self, result: Result, why: str = "") -> JournalEntry:
        """The last line, and the journal's entry."""
        for reason, keys in self._failed.items():
            more, is_news = self._said.others(reason, keys)
            if more:
                said = {"number": len(more), "objects": listed(more, _NAMED), "as": str(self._said.like(reason))}
                self.repeated.news("error", "more objects failed", reason, said, is_news=is_news)
        event = {
            "succeeded": "sync finished",
            "failed": "sync finished with failures",
            "superseded": "sync superseded",
            "held": "sync held",
        }[result]
        level = "warning" if result in ("failed", "held") else "info"
        METER.syncs.add((self._sync, result), self.took)
        counts = self._counts()
        if any(change.verb in DONE for change in self.changes):
            getattr(self.log, level)(event, **_given(why=why), **counts, took=self.took)
        else:
            self.repeated.timed(level, event, {**_given(why=why), **counts}, self.took)
        return self.entry(result, why)

    def entry(self, result: Result, why: str = "") -> JournalEntry:
        """The journal's entry as of now."""
        return self._entry(result, self._timed(self.changes, self._keys), why)

    def so_far(self) -> JournalEntry:
        """The entry of a sync that is still under way, which also has objects that it is at. If there are too many
        changes, the latest are kept."""
        keys = {str(key): key for key in self.timeline.keys} | self._keys
        at_hand = (JournalChange("waiting", name) for name in keys if name not in self._keys)
        changes = [*self.changes, *at_hand]
        more = max(len(changes) - MAX_CHANGES, 0)
        return replace(self._entry("running", self._timed(changes[more:], keys)), more=more)

    def _entry(self, result: Result, changes: Iterable[JournalChange], why: str = "") -> JournalEntry:
        counts = self._counts()
        commit = self.commit
        return JournalEntry(
            commit.id,
            commit.author,
            commit.subject,
            time.time(),
            round(self.took, 3),
            result,
            counts,
            tuple(changes),
            began=round(self._began, 3),
            why=redact(why),
        )

    def _note(self, verb: str, key: ObjectKey, origin: str = "", why: str = "") -> None:
        self.changes.append(JournalChange(verb, str(key), origin, why))
        self._keys.setdefault(str(key), key)

    def _timed(self, changes: Iterable[JournalChange], keys: Mapping[str, ObjectKey]) -> Iterator[JournalChange]:
        """The changes for the journal, without credentials; the first of each object has the object's spans."""
        keys = dict(keys)
        for change in changes:
            key = keys.pop(change.object, None)
            spans = self.timeline.spans(key) if key is not None else ()
            told = tuple(replace(span, what=redact(span.what)) for span in spans)
            yield replace(change, why=redact(change.why), spans=told)

    def _counts(self) -> dict[str, int]:
        return {name: self.counts[name] for name in (*COUNTED, *(name for name in _SOMETIMES if self.counts[name]))}


def _reason(key: ObjectKey, error: GitsyncError) -> str:
    """Why an object has failed, without the object's own name: the same for all that fail for the same reason."""
    if isinstance(error, KindUnknown):
        return type(error).__name__
    return f"{type(error).__name__} {error.message.replace(str(key), '').replace(key.name, '')}"


def _given(**fields: str) -> dict[str, str]:
    """The fields that are not empty."""
    return {name: value for name, value in fields.items() if value}
