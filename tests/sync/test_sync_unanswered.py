"""What a sync has done is told once, in the log and in the journal, also where the API server's answer never came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from gitsync.errors import ClusterUnavailable
from gitsync.runtime.interrupt import Interrupt
from gitsync.sync.rollout import prune
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.sync.syncing import Content, Fault, Place, places
from tests.until import until

FIRST, SECOND, THIRD = "a" * 40, "b" * 40, "c" * 40
BEFORE: Content = {"kept": "one", "changed": "one", "dropped": "one"}
AFTER: Content = {"kept": "one", "changed": "two", "added": "two"}
CHANGES = {"changed changed", "created added", "deleted dropped"}
#: The writes of AFTER where BEFORE was: the first is the inventory, two are applied at once, then one is deleted.
APPLIES, DELETE = (1, 2), 3


@pytest.fixture
async def place(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Place]:
    async with places(control_plane, namespace, ["fleet"]) as (made,):
        yield made


def lost(*, hangs: bool = False) -> Fault:
    """The write is done, and its answer is lost. One error for each: an error keeps alive what it has come through."""
    return Fault(ClusterUnavailable("the API server is away"), done=True, hangs=hangs)


def told(place: Place, lines: list[Any]) -> list[tuple[str, str]]:
    """The lines about objects: what was done, and the commit."""
    return sorted(
        (f"{line['event'].removeprefix('object ')} {place.short(line['object'].name)}", line["commit"])
        for line in lines
        if line["event"].startswith("object ") and line["event"] != "object failed"
    )


@pytest.mark.parametrize("is_stopped", [False, True], ids=["a newer commit", "the end of the agent"])
@pytest.mark.parametrize(("name", "verb"), [("changed", "changed"), ("added", "created")])
async def test_an_apply_that_is_cut_short_and_carried_out_is_told(
    place: Place, name: str, verb: str, *, is_stopped: bool
) -> None:
    await place.sync(FIRST, BEFORE)
    interrupt, wanted = Interrupt(), await place.desired(SECOND, {**BEFORE, name: "two"})
    place.cluster.expect({1: lost(hangs=True)})

    async def is_applied() -> bool:
        return await place.texts(name) == {name: "two"}

    with capture_logs() as lines:
        sync = asyncio.ensure_future(place.syncer.sync(wanted, full=False, files=1, interrupt=interrupt))
        await until(is_applied)
        if is_stopped:
            sync.cancel()
            with suppress(asyncio.CancelledError):
                await sync
        else:
            interrupt.set("there is a newer commit")
            assert (await sync).result == "superseded"
    assert told(place, lines) == [(f"{verb} {name}", SECOND[:7])]
    newest = (await place.journal())[0]
    assert (newest.result, newest.counts[verb]) == ("superseded", 1)
    assert await place.did() == {f"{verb} {name}"}


@pytest.mark.parametrize("write", [*APPLIES, DELETE])
async def test_a_write_whose_answer_is_lost_is_told_once_the_api_server_is_back(place: Place, write: int) -> None:
    await place.sync(FIRST, BEFORE)
    with capture_logs() as lines:
        with suppress(ClusterUnavailable):  # a deletion is tried again like others that have failed
            await place.sync(SECOND, AFTER, {write: lost()})
        await place.sync(SECOND, AFTER, full=True)
    assert told(place, lines) == sorted((change, SECOND[:7]) for change in CHANGES)
    assert await place.did() == CHANGES
    newest = (await place.journal())[0]
    assert {verb: newest.counts[verb] for verb in ("created", "changed", "deleted")} == {
        "created": 1,
        "changed": 1,
        "deleted": 1,
    }


async def test_a_write_whose_answer_is_lost_is_told_for_its_own_commit_when_a_newer_one_comes(place: Place) -> None:
    await place.sync(FIRST, BEFORE)
    with capture_logs() as lines:
        await place.sync(SECOND, AFTER, {DELETE: lost()})
        await place.sync(THIRD, {**AFTER, "dropped": "three"})
    third = [("created dropped", THIRD[:7])]
    # What had yet to be said about the others of SECOND is that THIRD has them, too.
    assert [line for line in told(place, lines) if line[1] == THIRD[:7]] == third
    assert ("deleted dropped", SECOND[:7]) in told(place, lines)
    by_commit = {entry.commit: [f"{change.verb}" for change in entry.changes] for entry in await place.journal()}
    assert "deleted" in by_commit[SECOND]
    assert by_commit[THIRD] == ["created"]


async def test_a_deletion_that_takes_longer_than_it_may_is_told_when_it_is_over(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await place.sync(FIRST, BEFORE)
    monkeypatch.setattr(prune, "OBJECT_TIMEOUT", 0.5)
    await place.cluster.patch(
        place.key("dropped"), {"metadata": {"finalizers": ["example.com/keep"]}}, manager="somebody"
    )
    with capture_logs() as lines:
        await place.sync(SECOND, AFTER)
        assert "deleted dropped" not in {change for change, _ in told(place, lines)}
        await place.held_by("", "dropped")
        await place.sync(SECOND, AFTER)
    assert told(place, lines).count(("deleted dropped", SECOND[:7])) == 1
    assert await place.did() == CHANGES


async def test_what_a_killed_agent_has_done_is_in_the_journal_of_the_next(place: Place) -> None:
    """Its log had most of it, so it has one line there."""
    await place.sync(FIRST, BEFORE)
    await asyncio.sleep(1.1)  # the API server notes times of writes in seconds
    with suppress(ClusterUnavailable):
        await place.sync(SECOND, AFTER, {DELETE + 1: Fault(ClusterUnavailable("killed before the journal"))})
    await place.restart()
    with capture_logs() as lines:
        await place.sync(SECOND, AFTER, full=True)
    assert told(place, lines) == []
    (said,) = (line for line in lines if line["event"] == "commit was begun by an agent before this one")
    assert {verb: said.get(verb) for verb in ("created", "changed", "deleted")} == dict.fromkeys(
        ("created", "changed", "deleted"), 1
    )
    assert await place.did() == CHANGES
    newest = (await place.journal())[0]
    assert (newest.commit, newest.counts["unchanged"]) == (SECOND, 1)
    await place.restart()
    await place.sync(SECOND, AFTER, full=True)
    assert (await place.journal())[0] == newest, "nothing is told twice"


async def test_what_a_stopped_agent_has_written_down_is_not_told_again_by_the_next(place: Place) -> None:
    await place.sync(FIRST, BEFORE)
    wanted = await place.desired(SECOND, AFTER)
    place.cluster.expect({DELETE: lost(hangs=True)})
    sync = asyncio.ensure_future(place.syncer.sync(wanted, full=False, files=1, interrupt=Interrupt()))

    async def is_deleted() -> bool:
        return await place.live("dropped") is None

    await until(is_deleted)
    sync.cancel()
    with suppress(asyncio.CancelledError):
        await sync
    assert await place.did() == CHANGES
    await place.restart()
    with capture_logs() as lines:
        await place.sync(SECOND, AFTER, full=True)
    assert told(place, lines) == []
    assert "commit was begun by an agent before this one" not in {line["event"] for line in lines}
    newest = (await place.journal())[0]
    assert newest.result == "succeeded"
    assert {verb: newest.counts[verb] for verb in ("created", "changed", "deleted")} == dict.fromkeys(
        ("created", "changed", "deleted"), 1
    )


@pytest.mark.parametrize("write", [DELETE + 1, DELETE + 2], ids=["journal", "inventory"])
@pytest.mark.parametrize("is_stopped", [False, True], ids=["outage", "the end of the agent"])
async def test_a_sync_that_is_cut_short_as_it_writes_its_journal_counts_once(
    place: Place, write: int, *, is_stopped: bool
) -> None:
    await place.sync(FIRST, BEFORE)
    wanted = await place.desired(SECOND, AFTER)
    place.cluster.expect({write: lost(hangs=is_stopped)})
    with capture_logs() as lines:
        sync = asyncio.ensure_future(place.syncer.sync(wanted, full=False, files=1, interrupt=Interrupt()))

        async def is_there() -> bool:
            return len(place.cluster.writes) > write

        await until(is_there)
        if is_stopped:
            sync.cancel()
        with suppress(asyncio.CancelledError, ClusterUnavailable):
            await sync
        if not is_stopped:
            await place.sync(SECOND, AFTER, full=True)
    assert "sync superseded" not in {line["event"] for line in lines}
    assert await place.did() == CHANGES
    newest = (await place.journal())[0]
    assert {verb: newest.counts[verb] for verb in ("created", "changed", "deleted")} == dict.fromkeys(
        ("created", "changed", "deleted"), 1
    )
