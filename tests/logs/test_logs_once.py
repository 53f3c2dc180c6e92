"""What is said once: again only after something else was said of its topic, or after it is over."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs

from gitsync.logs import Once

LOG = structlog.get_logger("x")


def test_a_line_is_said_again_after_another_of_its_topic_and_not_for_others() -> None:
    once = Once()
    with capture_logs() as lines:
        for key, event in [("a", "waits"), ("a", "waits"), ("b", "waits"), ("a", "fails"), ("a", "waits")]:
            once(key, LOG, event)
        once("a", LOG, "waits", topic="another")
    assert [line["event"] for line in lines] == ["waits", "waits", "fails", "waits", "waits"]


def test_the_fields_count_and_empty_ones_are_left_out() -> None:
    once = Once()
    with capture_logs() as lines:
        assert once("a", LOG, "fails", level="warning", why="one", hint="")
        assert not once("a", LOG, "fails", level="warning", why="one", hint="")
        assert once("a", LOG, "fails", level="warning", why="two", hint="")
    assert [(line["log_level"], line["why"]) for line in lines] == [("warning", "one"), ("warning", "two")]
    assert "hint" not in lines[0]


def test_what_is_over_or_forgotten_is_news_again() -> None:
    once = Once()
    assert once.is_news("a")
    assert not once.is_news("a")
    assert once.over("a")
    assert not once.over("a")
    assert once.is_news("a")
    once.forget("a")
    assert once.is_news("a")


def test_only_so_many_keys_are_remembered() -> None:
    once = Once(most=2)
    assert [once.is_news(key) for key in "aabbaccb"] == [True, False, True, False, False, True, False, True]
