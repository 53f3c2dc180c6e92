"""Syncer, Rollout and Pruner on a real API server that fails: at each write of a sync, before and after it is done."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.apply.live import LIST_ALL_FROM
from gitsync.backoff import Reminders
from gitsync.cluster.transport import Answer, Request
from gitsync.errors import ClusterUnavailable, Forbidden, GitsyncError, NotFound, OwnedByAnother
from gitsync.runtime.interrupt import Interrupt
from gitsync.sync.plan import SyncPlan
from gitsync.sync.reporting.report import Failures, Report
from gitsync.sync.rollout.leaving import Leaving
from gitsync.sync.rollout.rollout import Rollout
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.sync.syncing import Content, Fault, FaultyCluster, Place, places
from tests.until import until

FIRST, SECOND, THIRD = "a" * 40, "b" * 40, "c" * 40
#: ``taken`` is somebody else's by the time that Git drops it.
BEFORE: Content = {**dict.fromkeys(("kept", "changed", "dropped", "gone", "taken"), "one"), "app": "one"}
AFTER: Content = {"kept": "one", "changed": "two", "added": "two", "app": "two"}
BACK: Content = {name: text for name, text in BEFORE.items() if name != "taken"}
NAMES = sorted({*BEFORE, *AFTER})
#: What carrying out AFTER where BEFORE was writes, in this order but for the objects of one kind among each other.
WRITES = 8
#: The first of them that deletes something.
DELETES = 4
#: The objects of one kind among them, that come at once.
AT_ONCE = ["apply added", "apply changed"]
APPLIED = {"created added", "changed changed", "changed app"}
CHANGES = {*APPLIED, "suspended app", "deleted dropped", "deleted gone", "kept taken"}
AWAY = ClusterUnavailable("the API server is away")
#: As of a delete; the verb of an apply makes no difference.
REFUSED = Forbidden("not now", status=403, reason="Forbidden", verb="delete")

NewPlaces = Callable[[list[str]], AbstractAsyncContextManager[list[Place]]]


@pytest.fixture
def new_places(control_plane: ControlPlane, namespace: str) -> NewPlaces:
    return partial(places, control_plane, namespace)


@pytest.fixture
async def place(new_places: NewPlaces) -> AsyncIterator[Place]:
    async with new_places(["fleet"]) as (made,):
        yield made


async def test_a_sync_remembers_before_it_applies_and_forgets_after_it_has_deleted(place: Place) -> None:
    await place.sync(FIRST, BEFORE)
    assert place.written[0] == "apply inventory"
    assert place.written[-2:] == ["apply journal", "apply inventory"]

    await place.disown("taken")
    await place.sync(SECOND, AFTER)
    first, *objects, journal, last = place.written
    assert (first, journal, last) == ("apply inventory", "apply journal", "apply inventory")
    assert sorted(objects[:2]) == AT_ONCE
    assert objects[2] == "apply app"
    assert sorted(objects[3:]) == ["delete dropped", "delete gone"]
    assert len(place.written) == WRITES
    assert await place.did() == CHANGES

    await place.sync(SECOND, AFTER, full=True)
    assert place.written == [], "nothing is written when nothing is done"


async def test_no_deletion_is_begun_once_a_newer_commit_is_there(place: Place) -> None:
    await place.sync(FIRST, BEFORE)
    interrupt = Interrupt()
    interrupt.set("there is a newer commit, which may want it again")
    fewer = {name: text for name, text in BEFORE.items() if name != "dropped"}
    place.cluster.expect()
    result = await place.syncer.sync(await place.desired(SECOND, fewer), full=False, files=1, interrupt=interrupt)
    assert result.result == "superseded"
    assert await place.live("dropped") is not None
    await place.sync(THIRD, fewer)
    assert await place.live("dropped") is None


async def test_a_deletion_that_a_newer_commit_cuts_short_is_told_once_the_object_is_gone(place: Place) -> None:
    await place.sync(FIRST, {**dict.fromkeys(("one", "two", "held"), "one"), **BEFORE})
    await place.cluster.patch(place.key("held"), {"metadata": {"finalizers": ["example.com/keep"]}}, manager="somebody")
    place.cluster.expect(dict.fromkeys(range(1, 4), Fault(AWAY, done=True, hangs=True)))
    interrupt, fewer = Interrupt(), await place.desired(SECOND, BEFORE)

    async def are_gone() -> bool:
        return await place.texts("one", "two") == {"one": None, "two": None}

    sync = asyncio.ensure_future(place.syncer.sync(fewer, full=False, files=1, interrupt=interrupt))
    await until(are_gone)
    interrupt.set("there is a newer commit")
    assert (await sync).result == "superseded"
    assert await place.did() == {"deleted one", "deleted two"}
    await place.held_by("", "held")
    await place.sync(THIRD, BEFORE)
    assert await place.live("held") is None


async def test_many_objects_that_wait_for_their_turn_are_no_tasks(place: Place) -> None:
    await place.sync(FIRST, {f"item-{number}": "one" for number in range(100)})
    assert len(await place.did()) == 100
    assert place.cluster.tasks < 20


async def test_what_has_been_carried_out_leaves_no_circles_for_python_to_look_for(place: Place) -> None:
    gc.collect()
    gc.disable()
    try:
        await place.sync(FIRST, BEFORE)
        await place.sync(SECOND, AFTER)
        left = [type(it).__name__ for it in gc.get_objects() if isinstance(it, Rollout | Leaving | Report | SyncPlan)]
    finally:
        gc.enable()
    assert left == []


async def test_nobody_asks_for_an_object_that_nobody_has_had(place: Place) -> None:
    await place.sync(FIRST, {"one": "one", "two": "two"})
    assert not {"fleet-one", "fleet-two"}.intersection(place.cluster.reads)
    assert await place.did() == {"created one", "created two"}


async def test_an_object_that_is_there_against_expectation_is_adopted_or_left_to_whom_it_belongs(
    new_places: NewPlaces,
) -> None:
    async with new_places(["fleet", "fleet-their"]) as (place, other):
        mine = {"metadata": {"namespace": place.namespace, "name": "fleet-mine"}, "data": {"by": "hand"}}
        await place.cluster.create({"apiVersion": "v1", "kind": "ConfigMap", **mine}, manager="somebody")
        await other.sync(FIRST, {"own": "theirs"})

        wanted = {"mine": "ours", "their-own": "ours", "new": "ours"}
        result = await place.sync(FIRST, wanted)
        assert await place.did() == {"created new", "changed mine", "failed their-own"}
        (problem,) = result.problems
        assert isinstance(problem, OwnedByAnother)
        assert "belongs to sync" in problem.message
        assert await place.texts(*wanted) == {**wanted, "their-own": "theirs"}

        again = await place.sync(FIRST, wanted, full=True)
        assert [str(it) for it in again.problems] == [str(problem)], "asked beforehand it is the same"
        assert (await place.texts("their-own"))["their-own"] == "theirs"


def test_what_many_objects_fail_for_has_a_line_for_two_of_them_and_one_for_the_rest() -> None:
    keys = [ObjectKey("", "ConfigMap", "ns", f"item-{number}") for number in range(9)]
    with capture_logs() as lines:
        report = Report(CommitInfo(FIRST), {})
        for key in keys[:8]:
            report.failed(key, NotFound(f'cannot apply {key}: namespaces "ns" not found', status=404, verb="apply"))
        report.failed(keys[8], REFUSED)
        report.finish("failed")
    said = [(line["event"], str(line.get("object", line.get("objects", "")))) for line in lines]
    assert said == [
        ("object failed", str(keys[0])),
        ("object failed", str(keys[1])),
        ("object failed", str(keys[8])),
        ("more objects failed", f"{', '.join(map(str, keys[2:7]))} and 1 more"),
        ("sync finished with failures", ""),
    ]
    assert len(report.problems) == report.counts["failed"] == 9


def test_what_fails_in_another_order_is_no_news_and_one_more_is() -> None:
    keys = [ObjectKey("", "ConfigMap", "ns", f"item-{number}") for number in range(5)]
    reminders, failures = Reminders(), Failures()

    def told(*order: int) -> list[tuple[str, int]]:
        """Of a try in which these fail, what is said, and of how many."""
        with capture_logs() as lines:
            report = Report(CommitInfo(FIRST), {}, reminders, failures)
            for number in order:
                report.failed(keys[number], NotFound("no", status=404, verb="apply"))
            report.finish("failed")
        found = [line for line in lines if line["log_level"] == "error"]
        return [(line["event"], line.get("number", 1)) for line in found]

    assert told(0, 1, 2, 3) == [("object failed", 1), ("object failed", 1), ("more objects failed", 2)]
    for order in ((3, 2, 1, 0), (2, 0, 3, 1), (3, 1)):
        assert told(*order) == []
    assert told(4, 3, 2, 1, 0) == [("more objects failed", 3)]


async def test_what_fails_again_and_again_is_said_once_and_what_is_new_at_once(place: Place) -> None:
    def said(lines: Sequence[Mapping[str, Any]]) -> list[str]:
        return [line["event"] for line in lines if line["log_level"] != "debug" and "commit" in line]

    again = ["sync started", "object failed", "sync finished with failures"]
    with capture_logs() as lines:
        for writes, expected in ((1, again), (0, []), (0, [])):
            lines.clear()
            await place.sync(FIRST, {"kept": "one"}, {writes: Fault(REFUSED)}, full=True)
            assert said(lines) == expected
        other = Fault(Forbidden("not that", status=403, reason="Forbidden", verb="delete"))
        lines.clear()
        await place.sync(FIRST, {"kept": "one"}, {0: other}, full=True)
        assert said(lines) == ["object failed"]
        lines.clear()
        await place.sync(FIRST, {"kept": "one"}, full=True)
        assert said(lines) == ["object created", "sync finished"]
        await place.cluster.delete(place.key("kept"))
        lines.clear()
        await place.sync(FIRST, {"kept": "one"}, {1: Fault(REFUSED)}, full=True)
        assert said(lines) == again


async def test_of_many_new_objects_one_that_is_left_once_it_is_there_is_looked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Place._manifest

    def manifest(self: Place, name: str, text: str) -> str:
        note = "metadata: {annotations: {kustomize.toolkit.fluxcd.io/ssa: IfNotPresent}, "
        found = plain(self, name, text)
        return found.replace("metadata: {", note) if name == "once" else found

    monkeypatch.setattr(Place, "_manifest", manifest)
    key = place.key("once")
    metadata = {"name": key.name, "namespace": key.namespace}
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "theirs"}}
    await place.cluster.apply(theirs, manager="somebody")
    many = dict.fromkeys((f"new-{number}" for number in range(LIST_ALL_FROM)), "one")
    await place.sync(FIRST, {**many, "once": "ours"}, full=True)
    assert await place.texts("once", "new-1") == {"once": "theirs", "new-1": "one"}


def test_what_goes_on_is_said_at_growing_distance() -> None:
    now = 0.0
    reminders, said = Reminders(lambda: now, reminder=60.0), []
    for second in range(0, 1000, 5):
        now = float(second)
        if reminders.is_due("it is down"):
            said.append(second)
    assert said == [0, 60, 180, 420, 900]
    assert reminders.is_due("something else")


async def test_what_somebody_else_has_deleted_meanwhile_does_not_count_as_deleted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.sync(FIRST, {"kept": "one", "dropped": "one", "gone": "one"})
    send = FaultyCluster._send

    async def late(self: FaultyCluster, request: Request) -> Answer:
        if request.method == "DELETE" and request.subject.key == place.key("gone"):
            await send(self, request)
        return await send(self, request)

    monkeypatch.setattr(FaultyCluster, "_send", late)
    await place.sync(SECOND, {"kept": "one"})

    newest = (await place.journal())[0]
    assert (newest.counts["deleted"], await place.did()) == (1, {"deleted dropped"})
    assert await place.live("gone") is None


async def test_what_was_applied_by_a_sync_that_was_cut_short_is_not_forgotten_when_it_cannot_be_deleted(
    place: Place,
) -> None:
    """Nobody has noted yet that it was applied: that does not make it an object that never was."""
    await place.sync(FIRST, {"kept": "one", "changed": "one"})
    with pytest.raises(ClusterUnavailable):
        await place.sync(SECOND, {"kept": "one", "changed": "two", "added": "two"}, {3: Fault(AWAY)})
    assert place.written[3] == "apply journal"

    result = await place.sync(THIRD, {"kept": "one"}, {1: Fault(REFUSED), 2: Fault(REFUSED)})
    assert sorted(place.written[1:3]) == ["delete added", "delete changed"]
    assert (result.result, result.retry) == ("failed", True)
    result = await place.sync(THIRD, {"kept": "one"})
    assert result.result == "succeeded"
    assert await place.texts("kept", "added", "changed") == {"kept": "one", "added": None, "changed": None}


async def test_a_release_that_a_commit_could_not_delete_is_not_that_commit_s_doing(place: Place) -> None:
    await place.sync(FIRST, {"kept": "one", "app": "one"})
    await place.restart()
    await place.sync(SECOND, {"kept": "one"}, {1: Fault(REFUSED)})
    assert place.written[1] == "delete app"

    await place.cluster.delete(place.key("app"))  # by hand, with the finalizer still on it
    live = await place.live("app")
    assert live is not None
    index = place.syncer.index
    index.update(place.key("app"), live)
    commit = index.ancestry.commit_of(place.key("app"))
    assert commit is not None
    assert commit.id == FIRST


async def test_a_failure_that_has_been_made_good_is_none_in_the_journal(place: Place) -> None:
    await place.sync(FIRST, {"kept": "one", "gone": "one"})
    result = await place.sync(SECOND, {"kept": "one"}, {1: Fault(AWAY, done=True)})
    assert result.result == (await place.journal())[0].result == "failed"
    assert (await place.sync(SECOND, {"kept": "one"})).result == "succeeded"
    assert (await place.journal())[0].result == "succeeded"
    await place.sync(SECOND, {"kept": "one"})
    assert place.written == []


@pytest.mark.parametrize("done", [False, True], ids=["not-written", "answer-lost"])
@pytest.mark.parametrize("error", [AWAY, REFUSED], ids=["away", "refused"])
@pytest.mark.parametrize("restarted", [False, True], ids=["goes-on", "restarted"])
async def test_a_sync_that_is_cut_short_at_any_write_is_ended_by_the_next(
    new_places: NewPlaces, error: GitsyncError, done: bool, restarted: bool
) -> None:
    async with new_places([f"fleet-{number}" for number in range(WRITES)]) as made:
        ended = (_ended_by_the_next(it, number, Fault(error, done), restarted) for number, it in enumerate(made))
        await asyncio.gather(*ended)


async def _ended_by_the_next(place: Place, number: int, fault: Fault, restarted: bool) -> None:
    before = await _cut_short(place, number, fault)
    where = f"{place.written[number]}: {place.written}"
    # Texts first: a write that was under way when the sync ended may come to the cluster in between.
    texts, half_way = await place.texts(*NAMES), await place.versions(*NAMES)
    assert half_way.keys() >= BEFORE.keys() & AFTER.keys(), f"what stays in Git stays: {where}"

    if restarted:
        await place.restart()
    result = await place.sync(SECOND, AFTER, full=restarted)
    assert (result.result, result.retry) == ("succeeded", False), where
    await _matches(place, SECOND, AFTER, where)
    now = await place.versions(*NAMES)
    stayed = before.keys() & now.keys()
    assert {name: now[name][0] for name in stayed} == {name: before[name][0] for name in stayed}, "nothing is made anew"
    assert now["kept"] == before["kept"], f"what did not change is not written to: {where}"
    applied = [name for name in AFTER if texts[name] == AFTER[name]]
    assert {name: now[name] for name in applied} == {name: half_way[name] for name in applied}, where
    # What was done is in the journal, as far as there was an answer, and somebody who remembers it.
    if number >= DELETES and not restarted:
        assert await place.did() >= APPLIED, where
    if number == WRITES - 1 or (number == WRITES - 2 and not restarted):
        assert await place.did() == CHANGES, where


@pytest.mark.parametrize("done", [False, True], ids=["not-written", "answer-lost"])
@pytest.mark.parametrize("restarted", [False, True], ids=["goes-on", "restarted"])
async def test_a_commit_that_takes_one_back_that_was_cut_short_at_any_write_undoes_all_of_it(
    new_places: NewPlaces, done: bool, restarted: bool
) -> None:
    async with new_places([f"fleet-{number}" for number in range(WRITES)]) as made:
        await asyncio.gather(*(_taken_back(it, number, Fault(AWAY, done), restarted) for number, it in enumerate(made)))


async def _taken_back(place: Place, number: int, fault: Fault, restarted: bool) -> None:
    await _cut_short(place, number, fault)
    where = f"{place.written[number]}: {place.written}"
    if restarted:
        await place.restart()
    await place.sync(THIRD, BACK, full=restarted)
    await _matches(place, THIRD, BACK, where)


async def _cut_short(place: Place, number: int, fault: Fault) -> dict[str, tuple[str, str]]:
    """Carry out BEFORE, and AFTER with a fault. The objects' versions in between."""
    await place.sync(FIRST, BEFORE)
    await place.disown("taken")
    before = await place.versions(*NAMES)
    with suppress(type(fault.error)):
        result = await place.sync(SECOND, AFTER, {number: fault})
        assert (result.result, result.retry) == ("failed", True)
    return before


async def _matches(place: Place, commit: str, content: Content, where: str) -> None:
    """The cluster is as the commit wants it, all of that is known, and there is nothing more to do."""
    expected = dict(content) | {"taken": "one"}
    assert await place.texts(*NAMES) == {**dict.fromkeys(NAMES), **expected}, where
    inventory = await place.inventory()
    known = {place.short(entry.key.name): (bool(entry.digest), entry.dropped) for entry in inventory}
    assert (inventory.commit, known) == (commit, dict.fromkeys(content, (True, ()))), where
    newest = (await place.journal())[0]
    assert (newest.commit, newest.result) == (commit, "succeeded"), where
    await place.sync(commit, content, full=True)
    assert place.written == [], where


async def test_the_journal_says_why_a_commit_is_held_and_what_it_would_delete_until_it_is_taken_back(
    place: Place,
) -> None:
    await place.sync("1" * 40, {"a": "one", "b": "one"})
    assert (await place.sync("2" * 40, {}, full=True)).result == "held"
    held = (await place.journal())[0]
    assert (held.commit, held.result) == ("2" * 40, "held")
    assert (
        held.why == "it drops everything, all 2 objects, and those that no other sync or release wants would be deleted"
    )
    assert [(it.verb, place.short(it.object.rpartition("/")[2]), it.why) for it in held.changes] == [
        ("waiting", "a", "would be deleted"),
        ("waiting", "b", "would be deleted"),
    ]
    # A forced push: the head is again the commit that was carried out, and nothing is to be done.
    assert (await place.sync("1" * 40, {"a": "one", "b": "one"}, full=True)).result == "succeeded"
    assert (await place.journal())[0].result == "succeeded"
    await place.sync("1" * 40, {"a": "one", "b": "one"}, full=True)
    assert [entry.result for entry in await place.journal()] == ["succeeded", "held", "succeeded"]
