"""What goes on, at the bottom of a terminal: never in the way of anything else."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from gitsync import logs
from gitsync.cli.common.output import progress, write
from gitsync.logs.bottom import ERASE, Bottom
from tests.screen import Screen, Terminal
from tests.until import ask_until


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm")
    yield
    logs.shutdown()


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal(80)
    yield made
    if not made.is_closed:
        made.close()


def test_the_line_is_gone_before_another_is_written_and_drawn_again_after_it() -> None:
    bottom = Bottom(lambda: 80, colour=False)
    assert bottom.around("a\n", 0.0) == "a\n"
    bottom.say(1, "syncing", 10.0)
    assert bottom.around("", 12.4) == "syncing · 2s"
    assert bottom.around("b\n", 13.6) == f"{ERASE}b\nsyncing · 4s"
    bottom.say(1, "", 0.0)
    assert bottom.around("c\n", 14.0) == f"{ERASE}c\n"
    assert bottom.gone() == ""


def test_the_last_who_has_something_to_say_is_heard() -> None:
    bottom = Bottom(lambda: 80, colour=False)
    bottom.say(1, "verifying", 0.0)
    bottom.say(2, "syncing", 0.0)
    assert bottom.around("", 1.0) == "syncing · 1s"
    bottom.say(2, "", 0.0)
    assert bottom.around("", 2.0) == f"{ERASE}verifying · 2s"


@example("0\u0300", 2)  # an accent has no column of its own
@given(st.text(), st.integers(1, 120))
def test_whatever_is_said_it_stays_in_its_row_and_steers_nothing(text: str, width: int) -> None:
    bottom, screen = Bottom(lambda: width, colour=True), Screen(width)
    bottom.say(1, text, 0.0)
    screen.feed(bottom.around("", 5.0))
    assert len(screen.rows) == 1
    assert screen.steering == []
    assert cell_len(screen.rows[0]) < width or not text
    screen.feed(bottom.gone())
    assert screen.rows == [""]


def test_lines_and_other_output_of_many_threads_never_meet_it(terminal: Terminal) -> None:
    with os.fdopen(os.dup(terminal.slave), "w") as stream:
        logs.configure("auto", stream=stream)
        status = logs.StatusLine()

        def log(number: int) -> None:
            for item in range(50):
                structlog.get_logger("x").info(f"line {number}-{item}")
                status.show(f"syncing: {item} ready")

        threads = [threading.Thread(target=log, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        with redirect_stdout(stream):
            for item in range(50):
                write(f"printed {item}\nand more\n")
        for thread in threads:
            thread.join()
        ask_until(lambda: terminal.screen.rows[-1], lambda row: row.startswith("syncing: 49 ready"), "the last of it")
        logs.shutdown()
    terminal.close()
    rows = terminal.screen.rows
    assert rows[-1] == ""
    told = [row for row in rows if "line" in row]
    assert sorted(row.split()[-1] for row in told) == sorted(f"{n}-{item}" for n in range(4) for item in range(50))
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d INFO +line \d-\d+", row) for row in told)
    assert [row for row in rows if "printed" in row] == [f"printed {item}" for item in range(50)]
    assert len(rows) == 200 + 100 + 1
    assert terminal.screen.steering == []


def test_its_seconds_go_on_while_nobody_says_anything(terminal: Terminal) -> None:
    with os.fdopen(os.dup(terminal.slave), "w") as stream:
        logs.configure("auto", stream=stream)
        logs.StatusLine().show("syncing", since=time.monotonic())
        ask_until(lambda: terminal.screen.rows[-1], lambda row: row == "syncing · 2s", "two seconds are over")
        logs.shutdown()


def test_a_command_that_takes_long_says_so_until_it_has_an_answer(terminal: Terminal) -> None:
    with os.fdopen(os.dup(terminal.slave), "w") as stream, redirect_stdout(stream), redirect_stderr(stream):
        logs.configure("auto", "warning", stream)
        with progress("comparing the repository with the cluster"):
            ask_until(lambda: terminal.screen.text, lambda text: "comparing" in text, "it says so")
            structlog.get_logger("x").warning("something else")
        write("nothing to do\n")
        logs.shutdown()
    terminal.close()
    assert [row.split("WARN")[-1].strip() for row in terminal.screen.rows] == ["something else", "nothing to do", ""]


@pytest.mark.parametrize("log_format", ["auto", "console", "logfmt", "json"])
def test_there_is_none_without_a_terminal(log_format: logs.LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure(log_format, stream=stream)
    assert not logs.has_status_line()
    logs.StatusLine().show("syncing")
    with progress("comparing"):
        pass
    logs.shutdown()
    assert stream.getvalue() == ""
    assert capsys.readouterr().err == "comparing ...\n"


def test_there_is_none_on_a_dumb_terminal_nor_below_lines_for_programs(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with os.fdopen(os.dup(terminal.slave), "w") as stream:
        logs.configure("json", stream=stream)
        assert not logs.has_status_line()
        monkeypatch.setenv("TERM", "dumb")
        logs.configure("auto", stream=stream)
        assert not logs.has_status_line()


def test_without_colours_there_still_is_one(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with os.fdopen(os.dup(terminal.slave), "w") as stream:
        logs.configure("auto", stream=stream)
        logs.StatusLine().show("syncing")
        ask_until(lambda: terminal.screen.text, lambda text: "syncing" in text, "it is drawn")
        logs.shutdown()
    terminal.close()
    assert re.fullmatch(r"(?:[^\x1b]|\x1b\[K)*", terminal.seen)
