"""When each object had its turn and what it waited for, and what of that the journal keeps."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.sync.reporting.report import Report
from gitsync.sync.reporting.timeline import APPLY, MOST_SPANS, TAKEN_UP, Timeline, Turn, turn_of_release
from gitsync.sync.storage.history import (
    MAX_CHANGES,
    MAX_COMMITS,
    TIMED_COMMITS,
    JournalChange,
    JournalEntry,
    Span,
    append,
    decode,
    encode,
)

REDIS = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "redis")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_an_objects_way_is_told_one_part_after_the_other() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    clock.now += 1
    timeline.turn(REDIS, APPLY)
    clock.now += 0.5
    timeline.turn(REDIS, Turn("wait", "for redis"))
    clock.now += 1
    timeline.turn(REDIS, Turn("wait", "for redis"))  # says it again
    clock.now += 2
    timeline.turn(REDIS, None)
    clock.now += 9
    assert timeline.spans(REDIS) == (Span("apply", "", 1.0, 1.5), Span("wait", "for redis", 1.5, 4.5))
    assert timeline.spans(replace_name(REDIS, "other")) == ()


def test_what_has_not_ended_lasts_until_now() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    timeline.turn(REDIS, APPLY)
    clock.now += 2
    assert timeline.spans(REDIS) == (Span("apply", "", 0.0, 2.0),)


def test_what_took_no_time_is_told_only_where_there_is_nothing_else() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    timeline.turn(REDIS, APPLY)
    timeline.turn(REDIS, TAKEN_UP)
    clock.now += 1
    timeline.turn(REDIS, None)
    assert [span.kind for span in timeline.spans(REDIS)] == ["wait"]
    other = replace_name(REDIS, "other")
    timeline.turn(other, APPLY)
    timeline.turn(other, None)
    assert timeline.spans(other) == (Span("apply", "", 1.0, 1.0),)


def test_one_that_changes_its_mind_for_ever_is_kept_within_bounds() -> None:
    clock = Clock()
    timeline = Timeline(clock)
    for number in range(1000):
        timeline.turn(REDIS, Turn("settle", f"{number} {'x' * 1000}"))
        clock.now += 1
    spans = timeline.spans(REDIS)
    assert len(spans) <= MOST_SPANS + 1
    assert max(len(span.what) for span in spans) <= 200
    assert (spans[0].begin, spans[-1].end) == (0.0, 1000.0)
    assert [one.end for one in spans[:-1]] == [one.begin for one in spans[1:]], "no part of it is left out"


def replace_name(key: ObjectKey, name: str) -> ObjectKey:
    return key._replace(name=name)


def release(ready: str, reason: str, message: str = "", *, observed: int = 2, **more: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "reason": reason, "message": message, "observedGeneration": 2}]
    if more.pop("stalled", False):
        conditions.append({"type": "Stalled", "status": "True", "reason": reason, "observedGeneration": 2})
    metadata = {"name": "redis", "namespace": "default", "generation": 2}
    return {"metadata": metadata, "status": {"observedGeneration": observed, "conditions": conditions}}


@pytest.mark.parametrize(
    ("manifest", "turn"),
    [
        (release("Unknown", "Progressing", "Running 'install' action"), Turn("settle", "Running 'install' action")),
        (release("False", "DependencyNotReady", "redis is not ready"), Turn("wait", "redis is not ready")),
        (release("True", "UpgradeSucceeded", observed=1), TAKEN_UP),
        (release("True", "UpgradeSucceeded"), None),
        (release("False", "UpgradeFailed", stalled=True), None),
        (None, None),
    ],
)
def test_what_a_release_is_at_by_its_status(manifest: Any, turn: Turn | None) -> None:
    assert turn_of_release(manifest) == turn


def test_the_journal_has_it_with_the_first_change_of_an_object_and_without_credentials() -> None:
    report = Report(CommitInfo("a" * 40, "Ada", "one"), {})
    report.timeline.turn(REDIS, Turn("wait", "for https://ann:hunter2@git.example/fleet"))
    report.done("changed", REDIS, "redis.yaml:1")
    report.outcome("waiting", REDIS, "it waits")
    entry = report.entry("succeeded")
    changed, waiting = entry.changes
    assert [span.kind for span in changed.spans] == ["wait"]
    assert "hunter2" not in changed.spans[0].what
    assert waiting.spans == ()
    assert entry.began > 0
    assert entry.began + entry.took <= entry.time + 0.1


def entry(commit: str, began: float, *changes: JournalChange) -> JournalEntry:
    return JournalEntry(commit, "Ada", "one", began + 5, 5.0, "succeeded", {}, changes, began=began)


def test_a_commit_that_is_synced_again_has_one_time_for_all_of_it() -> None:
    first = entry("a" * 40, 1000.0, JournalChange("created", "X", spans=(Span("apply", "", 0.0, 1.0),)))
    again = entry("a" * 40, 1060.0, JournalChange("created", "Y", spans=(Span("apply", "", 0.5, 1.0),)))
    (both,) = append(append((), first), again)
    assert (both.began, both.took, both.time) == (1000.0, 10.0, 1065.0)
    assert [change.spans[0].begin for change in both.changes] == [0.0, 60.5]


def test_it_is_forgotten_of_old_commits_and_comes_back_out_of_the_cluster() -> None:
    entries: tuple[JournalEntry, ...] = ()
    for number in range(TIMED_COMMITS + 5):
        change = JournalChange("created", "X", spans=(Span("wait", "for Y", 0.0, 1.5),))
        entries = append(entries, entry(f"{number:040}", 1000.0 + number, change))
    config_map = {"metadata": {"name": "journal"}, **encode(entries)}
    back = decode(config_map)
    assert back == entries
    assert [bool(item.changes[0].spans) for item in back] == [True] * TIMED_COMMITS + [False] * 5
    assert back[0].changes[0].spans == (Span("wait", "for Y", 0.0, 1.5),)
    assert back[0].began == 1000.0 + TIMED_COMMITS + 4


def test_a_journal_without_times_can_be_read() -> None:
    old = replace(entry("a" * 40, 0.0, JournalChange("created", "X")), began=0.0)
    packed = encode([old])
    assert decode({"metadata": {"name": "journal"}, **packed})[0] == old


def test_a_full_journal_fits_into_a_config_map() -> None:
    chance = random.Random(7)
    entries: tuple[JournalEntry, ...] = ()
    for number in range(MAX_COMMITS):
        changes = []
        for place in range(MAX_CHANGES):
            times = sorted(round(chance.uniform(0, 600), 3) for _ in range(4))
            name = f"team-{place}/app-{place}"
            spans = tuple(Span("wait", f"dependency '{name}' is not ready", *it) for it in pairwise(times))
            changes.append(JournalChange("changed", f"HelmRelease/{name}", f"a/{place}.yaml:1", spans=spans))
        entries = append(entries, entry(f"{chance.getrandbits(160):040x}", 1e9 + number, *changes))
    packed = encode(entries)["binaryData"]["journal"]
    assert len(base64.b64decode(packed)) < 512 * 1024


def test_an_object_of_a_kind_that_two_groups_have_is_told_with_its_group() -> None:
    """As where an object moves from one API group to another in one commit: it is made, and the old one goes."""
    old, new = (ObjectKey(group, "Ingress", "default", "web") for group in ("extensions", "networking.k8s.io"))
    report = Report(CommitInfo("a" * 40), {})
    report.done("created", new, "web.yaml:1:1")
    report.done("deleted", old, "web.yaml:1:1", "removed from Git")
    made, gone = report.entry("succeeded").changes
    assert (made.verb, made.why) == ("created", "")
    assert (gone.verb, gone.why) == (
        "deleted",
        "removed from Git; of API group 'extensions', not 'networking.k8s.io'",
    )
