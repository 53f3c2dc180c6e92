"""How a commit went: the order of its objects, and their ways on one axis."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gitsync.live.commits import RecordedCommit
from gitsync.sync.storage.history import JournalChange, JournalEntry, Span
from gitsync.web.ui.waterfall import Line, waterfall


def entry(began: float, *changes: JournalChange) -> JournalEntry:
    return JournalEntry("a" * 40, "Ann", "one", began + 5, 5.0, "succeeded", {}, changes, began=began)


def change(name: str, *spans: Span) -> JournalChange:
    return JournalChange("created", name, "a.yaml:1:1", spans=spans)


def test_objects_come_in_the_order_of_their_turns_with_what_they_waited_for() -> None:
    backend = change(
        "backend",
        Span("apply", "", 0.2, 0.3),
        Span("wait", "for redis", 0.3, 8.3),
        Span("settle", "install", 8.3, 10.0),
    )
    redis = change("redis", Span("apply", "", 0.0, 0.2), Span("settle", "1 of 2 ready", 0.2, 5.0))
    found = waterfall(RecordedCommit(entry(1000.0, backend, redis)))
    first, second = found.lines[""]
    assert [line.change.object for line in (first, second)] == ["redis", "backend"]
    assert (found.length, found.left_out) == (10.0, 0.0)
    assert [(bar.kind, bar.x, bar.width) for bar in second.bars] == [
        ("apply", 2.0, 1.0),
        ("wait", 3.0, 80.0),
        ("settle", 83.0, 17.0),
    ]
    assert [(wait.seconds, wait.what) for wait in second.waits] == [(8.0, "for redis"), (pytest.approx(1.7), "install")]
    assert second.begin == pytest.approx(0.2)


def test_kustomizations_are_on_the_same_axis() -> None:
    root = entry(1000.0, change("apps", Span("apply", "", 0.0, 1.0)))
    inside = entry(1005.0, change("app", Span("apply", "", 0.0, 5.0)))
    found = waterfall(RecordedCommit(root, {"default/apps": inside}))
    assert found.length == 10.0
    (bar,) = found.lines["default/apps"][0].bars
    assert (bar.x, bar.width) == (50.0, 50.0)


def test_long_pauses_between_tries_are_left_out() -> None:
    first, again = (change(name, Span("apply", "", at, at + 5.0)) for name, at in (("one", 0.0), ("two", 36_000.0)))
    found = waterfall(RecordedCommit(entry(1000.0, first, again)))
    assert [found.length, found.left_out] == pytest.approx([10.0, 35_995.0])
    one, two = (line.bars[0] for line in found.lines[""])
    assert one.x == 0
    assert two.x == pytest.approx(100 * 5.3 / 10.3, abs=0.1)
    assert two.x + two.width == pytest.approx(100, abs=0.1)


def test_what_nobody_noted_stands_last_and_without_bars() -> None:
    untimed = waterfall(RecordedCommit(entry(0.0, change("x", Span("apply", "", 0.0, 1.0)))))
    assert not untimed.is_timed
    found = waterfall(RecordedCommit(entry(1000.0, change("x"), change("y", Span("apply", "", 0.0, 0.0)))))
    assert [line.change.object for line in found.lines[""]] == ["y", "x"]
    assert found.lines[""][1] == Line(change("x"), None)


def test_bars_stay_on_the_axis_whatever_the_journal_says() -> None:
    odd = change("x", Span("apply", "", -5.0, -9.0), Span("wait", "y", 5.0, 2.0), Span("settle", "z", 9.99, 10.0))
    found = waterfall(RecordedCommit(entry(1000.0, odd)))
    for bar in found.lines[""][0].bars:
        assert bar.x >= 0
        assert bar.width > 0
        assert bar.x + bar.width <= 100.01


def test_what_is_under_way_goes_on_and_what_is_over_does_not() -> None:
    opened, over = change("x", Span("wait", "y", 1.0, 5.0)), change("z", Span("apply", "", 0.0, 1.0))
    running = replace(entry(1000.0, opened, over), result="running")
    found = waterfall(RecordedCommit(running), since=5.0)
    assert found.length == 10.0
    ways = {line.change.object: line.bars[0] for line in found.lines[""]}
    assert (ways["x"].x, ways["x"].width, ways["x"].goes_on) == (10.0, 90.0, True)
    assert (ways["z"].x, ways["z"].width, ways["z"].goes_on) == (0.0, 10.0, False)
    ended = waterfall(RecordedCommit(replace(running, result="succeeded")), since=5.0)
    assert ended.length == 5.0


def test_the_way_of_what_did_not_become_ready_ends_in_failure() -> None:
    redis = change(
        "redis", Span("apply", "", 0.0, 0.2), Span("settle", "upgrade", 0.2, 1.0), Span("settle", "", 1.0, 5.0)
    )
    failed = JournalChange("failed", "redis", why="upgrade retries exhausted")
    others = change("other", Span("settle", "", 0.2, 5.0))
    found = waterfall(RecordedCommit(entry(1000.0, redis, others, failed)))
    kinds = {line.change.object: [bar.kind for bar in line.bars] for line in found.lines[""] if line.bars}
    assert kinds == {"redis": ["apply", "failed", "failed"], "other": ["settle"]}
    assert found.has_failed
    assert not waterfall(RecordedCommit(entry(1000.0, redis))).has_failed
