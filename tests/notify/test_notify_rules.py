"""Which Alert wants what, what is held back, and what is told together. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.notification import Alert
from gitsync.errors import FieldErrors
from gitsync.notify.notice import Notice, notice_of
from gitsync.notify.outbox import Gathering, Outbox
from gitsync.notify.repeats import Repeats
from gitsync.notify.rules import Rule
from gitsync.notify.services.message import message_of
from gitsync.runtime.event import Event
from gitsync.runtime.recorder import EventRecorder
from tests.notify.telling import BAD, COMMIT, GOOD

ALERT = ObjectKey("notification.toolkit.fluxcd.io", "Alert", "apps", "all")


def rule(*, crosses: bool = True, **spec: Any) -> Rule:
    sources = spec.pop("eventSources", [{"kind": "Kustomization", "name": "*"}])
    manifest = {
        "apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
        "kind": "Alert",
        "metadata": {"name": "all", "namespace": "apps"},
        "spec": {"providerRef": {"name": "it"}, "eventSources": sources, **spec},
    }
    return Rule.of(Alert.parse(manifest), crosses=crosses)


IN_OTHER = [{"kind": "Kustomization", "name": "*", "namespace": "other"}]
OTHER = replace(GOOD, key=GOOD.key._replace(namespace="other"))


@pytest.mark.parametrize(
    ("spec", "notice", "wanted"),
    [
        ({}, GOOD, True),
        ({"suspend": True}, GOOD, False),
        ({"eventSeverity": "error"}, GOOD, False),
        ({"eventSeverity": "error"}, BAD, True),
        ({"eventSources": [{"kind": "Kustomization", "name": "web"}]}, GOOD, True),
        ({"eventSources": [{"kind": "Kustomization", "name": "api"}]}, GOOD, False),
        ({"eventSources": [{"kind": "HelmRelease", "name": "*"}]}, GOOD, False),
        ({}, OTHER, False),
        ({"eventSources": IN_OTHER}, OTHER, True),
        ({"eventSources": IN_OTHER, "crosses": False}, OTHER, False),
        ({"eventSources": [{"kind": "Kustomization", "name": "*", "matchLabels": {"team": "a"}}]}, GOOD, False),
        (
            {"eventSources": [{"kind": "Kustomization", "name": "*", "matchLabels": {"team": "a"}}]},
            replace(GOOD, labels={"team": "a", "x": "y"}),
            True,
        ),
        ({"inclusionList": ["^Applied"]}, GOOD, True),
        ({"inclusionList": ["nothing"]}, GOOD, False),
        ({"inclusionList": [".*"], "exclusionList": ["revision: main@sha1:[0-9a-f]+$"]}, GOOD, False),
    ],
)
def test_an_alert_wants_what_it_names(spec: dict[str, Any], notice: Notice, wanted: bool) -> None:
    assert rule(**spec).wants(notice) is wanted


def test_an_expression_that_is_none_is_named_with_its_place() -> None:
    with pytest.raises(FieldErrors, match=r"spec\.exclusionList\[1\]: '\(' is no regular expression"):
        rule(exclusionList=["fine", "("])


def test_hostile_expressions_take_linear_time() -> None:
    hostile = rule(exclusionList=["(a+)+$"])
    assert hostile.wants(replace(GOOD, message="a" * 15_000 + "!"))


def test_what_the_event_says_itself_is_not_overwritten() -> None:
    dressed = rule(eventMetadata={"env": "x", "author": "Mallory"}, summary="cluster 1").dressed(GOOD)
    assert dressed.facts() == {
        "env": "x",
        "summary": "cluster 1",
        "revision": GOOD.revision,
        "commit": COMMIT.id,
        "author": "Ann",
        "subject": "redis: persistence off",
    }


def test_the_same_event_is_held_back_for_five_minutes() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    assert not repeats.is_again(GOOD)
    now = 299.0
    assert repeats.is_again(replace(GOOD, at=BAD.at))
    assert not repeats.is_again(BAD)
    assert not repeats.is_again(replace(GOOD, revision="main@sha1:" + "1" * 40))
    now = 301.0
    assert not repeats.is_again(GOOD)


def test_a_notice_steers_no_terminal_and_is_bounded() -> None:
    about = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "namespace": "n", "uid": "u"}}
    commit = CommitInfo("1" * 40, "A\x1b[31mnn", "sub\u202eject")
    notice = notice_of(about, Event("Warning", "Bad", "a\x1b[2J\nb" + "x" * 20_000, commit=commit), "gitsync/test")
    assert notice.message.startswith("a\\u001b[2J\nb")
    assert len(notice.message) <= 16_100
    assert notice.commit is not None
    assert "\x1b" not in notice.commit.author
    assert "\u202e" not in notice.commit.subject


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_events_of_a_commit_are_gathered_until_nothing_came_for_a_while() -> None:
    clock = Clock()
    box = Outbox(Gathering(3.0, 15.0), clock)
    for number in range(8):
        clock.now = number * 2.0
        box.put(ALERT, replace(GOOD, key=GOOD.key._replace(name=f"app-{number}")), gathers=True)
        assert box.take() is None
    clock.now = 15.0  # and no longer than that
    batch = box.take()
    assert batch is not None
    assert len(batch.notices) == 8
    assert box.take() is None


def test_of_an_object_the_newest_news_counts_and_an_error_is_not_lost() -> None:
    box = Outbox(Gathering(), Clock())
    for notice in (BAD, replace(GOOD, message="first"), replace(GOOD, message="second")):
        box.put(ALERT, notice, gathers=True)
    batch = box.take(at_once=True)
    assert batch is not None
    assert [it.message for it in batch.notices] == [BAD.message, "second"]


def test_what_is_not_gathered_goes_one_by_one_in_order() -> None:
    box = Outbox(Gathering(), Clock())
    for notice in (GOOD, BAD):
        box.put(ALERT, notice, gathers=False)
    taken = [box.take(), box.take(), box.take()]
    assert [batch.notices if batch else None for batch in taken] == [[GOOD], [BAD], None]


def test_the_oldest_is_dropped_and_counted_when_too_many_wait() -> None:
    box = Outbox(Gathering(), Clock(), most=3)
    for number in range(5):
        box.put(ALERT, replace(GOOD, message=str(number)), gathers=False)
    assert (len(box), box.dropped) == (3, 2)
    batch = box.take()
    assert batch is not None
    assert batch.notices[0].message == "2"


def test_a_message_has_what_went_wrong_first_and_says_how_much_is_left_out() -> None:
    notices = [replace(GOOD, key=GOOD.key._replace(name=f"app-{number}")) for number in range(50)]
    message = message_of([*notices, BAD], 600)
    assert message.heading == "commit 3f2a91c by Ann: redis: persistence off"
    lines = message.text.splitlines()
    assert lines[0].startswith("kustomization/apps/web: it ")
    assert lines[-1] == f"... and {51 - len(lines) + 1} more"
    assert len(message.text) <= 600
    assert message.is_error


def test_of_events_those_are_heard_that_last_and_each_with_its_commit_apart_from_its_words() -> None:
    heard: list[tuple[str, str]] = []
    recorder = EventRecorder(None, "gitsync/test")  # type: ignore[arg-type]  # nothing is written
    recorder.on_event = lambda about, event: heard.append((event.message, event.cause))
    about = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "namespace": "n", "uid": "u"}}
    recorder.record(about, Event("Warning", "Waits", "it waits", delay=5.0))
    recorder.record(about, Event("Normal", "Fine", "it is fine", cause="commit 3f2a91c by Ann", commit=COMMIT))
    recorder.record(about, Event("Normal", "Fine", "as the commit has it", quiet=True))
    assert heard == [("it is fine", "commit 3f2a91c by Ann"), ("as the commit has it", "")]
