"""What syncs are at, written down while they last: little, seldom, and taken back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.cluster import Cluster
from gitsync.errors import ClusterUnavailable
from gitsync.live.commits import by_commit, held_commit, with_those_under_way
from gitsync.sync.owner import Owner
from gitsync.sync.reporting.report import Report
from gitsync.sync.reporting.timeline import APPLY, Timeline, Turn
from gitsync.sync.reporting.underway import HEARTBEAT, UnderWay
from gitsync.sync.spec import SyncSpec
from gitsync.sync.storage.configmaps import SyncStore, under_way_key
from gitsync.sync.storage.history import MAX_CHANGES, JournalChange, JournalEntry, Span, decode_all
from tests.connecting import serving_namespace
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.lag import goes_on
from tests.until import until

COMMIT = CommitInfo("a" * 40, "Ann", "one")
ROOT = SyncSpec(Owner("fleet", "gitsync-system", ""), is_root=True)
APPS = SyncSpec(Owner("apps", "default", ""))


def key(name: str) -> ObjectKey:
    return ObjectKey("", "ConfigMap", "default", name)


@dataclass
class Kept:
    """A store that remembers what was written, or fails."""

    written: list[Mapping[str, tuple[JournalEntry, ...]]] = field(default_factory=list)
    is_away: bool = False

    async def save_under_way(self, found: Mapping[str, tuple[JournalEntry, ...]]) -> None:
        if self.is_away:
            raise ClusterUnavailable("the API server is away")
        self.written.append(found)

    async def forget_under_way(self) -> None: ...


class Rig:
    """At a time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now, self.store = 1000.0, Kept()
        self.under_way = UnderWay(self.store, lambda: self.now)
        self.report = self.new_report(COMMIT)

    def new_report(self, commit: CommitInfo) -> Report:
        report = Report(commit, {})
        report.timeline = Timeline(lambda: self.now)
        report._started, report._began = self.now, self.now
        return report

    async def after(self, seconds: float) -> Mapping[str, tuple[JournalEntry, ...]] | None:
        """What is written so many seconds later, None for nothing."""
        self.now += seconds
        count = len(self.store.written)
        await self.under_way.write()
        return self.store.written[-1] if len(self.store.written) > count else None


async def test_a_sync_that_is_soon_over_is_not_written_down() -> None:
    rig = Rig()
    with rig.under_way.following(ROOT, rig.report):
        assert await rig.after(0.5) is None
    assert await rig.after(5) is None
    assert rig.store.written == []


async def test_one_that_lasts_is_when_something_has_changed_and_is_taken_back_at_the_end() -> None:
    rig = Rig()
    with rig.under_way.following(ROOT, rig.report), rig.under_way.following(APPS, rig.new_report(COMMIT)):
        rig.report.timeline.turn(key("a"), APPLY)
        found = await rig.after(2)
        assert found is not None
        assert found.keys() == {"", "default/apps"}
        (entry,) = found[""]
        assert (entry.result, entry.commit, entry.subject) == ("running", COMMIT.id, "one")
        assert [(change.verb, change.object, change.spans) for change in entry.changes] == [
            ("waiting", "ConfigMap/default/a", (Span("apply", "", 0.0, 2.0),))
        ]
        assert await rig.after(2) is None, "nothing has changed but the time"
        rig.report.timeline.turn(key("a"), Turn("wait", "for b"))
        rig.report.done("created", key("a"), "a.yaml:1:1")
        found = await rig.after(1)
        assert found is not None
        (change,) = found[""][0].changes
        assert (change.verb, change.origin, [span.kind for span in change.spans]) == (
            "created",
            "a.yaml:1:1",
            ["apply", "wait"],
        )
        assert await rig.after(2) is None
        assert await rig.after(HEARTBEAT) is not None, "nobody would know whether there is somebody at work"
    assert await rig.after(2) == {}
    assert await rig.after(HEARTBEAT * 2) is None


async def test_what_could_not_be_written_is_the_next_time() -> None:
    rig = Rig()
    with rig.under_way.following(ROOT, rig.report):
        rig.store.is_away = True
        assert await rig.after(2) is None
        rig.store.is_away = False
        assert await rig.after(2) is not None


async def test_of_many_objects_the_last_are_there() -> None:
    rig = Rig()
    for number in range(MAX_CHANGES + 7):
        rig.report.done("created", key(f"a-{number}"))
    entry = rig.report.so_far()
    assert (len(entry.changes), entry.more) == (MAX_CHANGES, 7)
    assert entry.changes[-1].object.endswith(f"a-{MAX_CHANGES + 6}")


async def test_many_of_many_objects_do_not_hold_up_the_loop() -> None:
    rig = Rig()
    with ExitStack() as stack:
        for number in range(400):
            report = rig.new_report(COMMIT)
            for each in range(20):
                report.timeline.turn(key(f"a-{each}"), APPLY)
            stack.enter_context(rig.under_way.following(SyncSpec(Owner(f"app-{number}", "default", "")), report))
        rig.now += 5
        await goes_on(rig.under_way.write, lambda: [it.so_far() for it, _ in rig.under_way._reports.values()])


async def test_it_is_in_the_cluster_and_what_a_killed_agent_has_left_there_is_taken_back(
    control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_namespace(control_plane, namespace) as cluster:
        store = SyncStore(cluster, namespace, "fleet")
        assert await _kept(cluster, namespace) is None
        async with UnderWay(store).writing():
            await asyncio.sleep(0.2)  # time in which it could write
        assert await _kept(cluster, namespace) is None, "nothing is written where there is nothing to tell"
        rig = Rig()
        rig.report.timeline.turn(key("a"), APPLY)
        await store.save_under_way({"": (rig.report.so_far(),)})
        assert (await _kept(cluster, namespace) or {}).keys() == {""}

        async def is_taken_back() -> bool:
            return await _kept(cluster, namespace) == {}

        async with UnderWay(SyncStore(cluster, namespace, "fleet")).writing():
            await until(is_taken_back)
        # A start with nothing to take back writes nothing.
        monkeypatch.setattr(cluster, "apply", None)
        await SyncStore(cluster, namespace, "fleet").forget_under_way()


async def _kept(cluster: Cluster, namespace: str) -> Mapping[str, tuple[JournalEntry, ...]] | None:
    found = await cluster.find(under_way_key(namespace, "fleet"))
    return decode_all(found) if found is not None else None


def entry(commit: str, time: float, result: str = "succeeded", *changes: JournalChange) -> JournalEntry:
    return JournalEntry(commit * 40, "Ann", commit, time, 1.0, result, {}, changes, began=time - 1)  # type: ignore[arg-type]


def test_what_is_under_way_is_put_on_top_of_the_journal_until_that_has_it() -> None:
    past, running = entry("a", 1000.0), entry("b", 1010.0, "running")
    found = with_those_under_way({"": (past,)}, {"": (running,)})
    assert [item.result for item in found[""]] == ["running", "succeeded"]
    assert [item.is_running for item in by_commit(found[""], {})] == [True, False]
    ended = entry("b", 1011.0)
    assert with_those_under_way({"": (ended, past)}, {"": (running,)})[""] == (ended, past)


def test_a_further_try_goes_on_where_the_first_has_ended() -> None:
    first = entry("a", 1000.0, "failed", JournalChange("created", "x", spans=(Span("apply", "", 0.0, 1.0),)))
    again = entry("a", 1010.0, "running", JournalChange("waiting", "y", spans=(Span("apply", "", 0.0, 1.0),)))
    (found,) = with_those_under_way({"": (first,)}, {"": (again,)})[""]
    assert (found.result, found.began, found.time) == ("running", 999.0, 1010.0)
    assert [(change.object, change.spans[0].begin) for change in found.changes] == [("x", 0.0), ("y", 10.0)]


def test_a_commit_that_is_confirmed_and_under_way_is_held_no_more() -> None:
    held = entry("a", 1000.0, "held")
    assert held_commit((held, entry("b", 900.0))) == held
    assert held_commit((entry("b", 1001.0), held)) is None
    assert held_commit(with_those_under_way({"": (held,)}, {"": (entry("a", 1010.0, "running"),)})[""]) is None
