"""From a logger's call to the stream, through structlog, the libraries' logging and the writing thread."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import struct
import termios
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from gitsync import logs
from gitsync.api.identity import CommitInfo
from gitsync.logs.sink import Sink

COMMIT = CommitInfo("3f2a91c0ffee", author="A", subject="redis: persistence off")


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    logs.shutdown()
    logs.forget_secrets()


def lines(stream: io.StringIO) -> list[str]:
    logs.shutdown()
    return stream.getvalue().splitlines()


def test_elsewhere_than_on_a_terminal_lines_are_logfmt() -> None:
    stream = io.StringIO()
    logs.configure("auto", stream=stream)
    structlog.get_logger("x").info("sync started", **logs.commit_context(COMMIT), files=2)
    (line,) = lines(stream)
    assert line.startswith("time=2")
    assert line.endswith(
        'level=info msg="sync started" commit=3f2a91c author=A subject="redis: persistence off" files=2'
    )


def test_on_a_terminal_lines_are_aligned_and_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        logs.configure("auto", stream=terminal)
        structlog.get_logger("x").warning("waiting", release="default/redis")
        logs.shutdown()
        assert "\x1b[33mwaiting\x1b[0m" in os.read(reader, 4096).decode()
        monkeypatch.setenv("NO_COLOR", "1")
        logs.configure("auto", stream=terminal)
        structlog.get_logger("x").warning("waiting", release="default/redis")
        logs.shutdown()
        shown = os.read(reader, 4096).decode()
        assert "WARN          HelmRelease/default/redis        waiting" in shown
        assert "\x1b" not in shown
    os.close(reader)


def test_a_terminal_that_does_not_say_how_wide_it_is_has_120_columns() -> None:
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal:
        assert logs.width_of(terminal)() == 120
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
        assert logs.width_of(terminal)() == 80
    assert logs.width_of(io.StringIO())() == 120
    os.close(reader)


def test_lines_of_the_console_in_a_file_are_one_row_each_without_colours() -> None:
    stream = io.StringIO()
    logs.configure("console", stream=stream)
    structlog.get_logger("x").error("upgrade retries exhausted", release="default/redis", error="why " * 100, hint="h")
    try:
        raise ValueError("a defect")
    except ValueError:
        structlog.get_logger("x").exception("failed")
    first, second = lines(stream)
    assert "HelmRelease/default/redis" in first
    assert "Traceback" in second
    assert "\x1b" not in first + second


def test_levels_below_the_chosen_one_are_not_written() -> None:
    stream = io.StringIO()
    logs.configure("logfmt", "warning", stream)
    log = structlog.get_logger("x")
    log.debug("d")
    log.info("i")
    log.warning("w")
    log.error("e")
    assert [line.split("msg=")[1] for line in lines(stream)] == ["w", "e"]


def test_libraries_are_heard_from_warnings_upwards_through_the_same_masks() -> None:
    stream = io.StringIO()
    logs.configure("logfmt", "debug", stream)
    logs.register_secret("hunter2")
    logging.getLogger("urllib3.connectionpool").debug("headers: %s", "hunter2")
    logging.getLogger("aiohttp.client").warning("retry with %s", "hunter2")
    warnings.showwarning("a warning", UserWarning, "f.py", 1)
    first, second = lines(stream)
    assert first.endswith('level=warning msg="retry with ***" logger=aiohttp.client')
    assert "UserWarning: a warning" in second


def test_a_library_that_logs_with_wrong_arguments_is_heard_all_the_same() -> None:
    stream = io.StringIO()
    logs.configure("logfmt", stream=stream)
    wrong = logging.LogRecord("apscheduler", logging.WARNING, "f.py", 1, "bad arguments %s %s", ("one",), None)
    logging.getLogger().handlers[-1].handle(wrong)
    (line,) = lines(stream)
    assert line.endswith('msg="bad arguments %s %s" logger=apscheduler')


def test_after_shutdown_the_libraries_logging_is_as_before() -> None:
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    logs.configure("logfmt", stream=io.StringIO())
    logs.shutdown()
    assert (root.level, list(root.handlers)) == before


def test_a_closed_stream_costs_lines_and_nothing_else() -> None:
    stream = io.StringIO()
    logs.configure("logfmt", stream=stream)
    stream.close()
    structlog.get_logger("x").info("lost")
    logs.shutdown()


def test_a_reader_that_went_away_costs_lines_and_nothing_else() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        logs.configure("logfmt", stream=stream)
        os.close(reader)
        structlog.get_logger("x").info("lost")
        logs.shutdown()


def test_a_reader_that_does_not_keep_up_never_blocks_the_writer_and_is_told_what_it_missed() -> None:
    class Stuck(io.StringIO):
        asked, free = threading.Event(), threading.Event()

        def write(self, text: str) -> int:
            self.asked.set()
            self.free.wait(10)
            return super().write(text)

    stream = Stuck()
    sink = Sink(stream, lambda count: f"lost {count}", queue_lines=2)
    sink.write("line 0")
    assert stream.asked.wait(10)
    for number in range(1, 10):
        sink.write(f"line {number}")
    stream.free.set()
    sink.close(5.0)
    written = stream.getvalue().splitlines()
    (lost,) = [int(line.split()[1]) for line in written if line.startswith("lost")]
    kept = [line for line in written if line.startswith("line")]
    assert (lost, len(kept)) == (7, 3)


def test_lines_that_come_together_are_written_together_and_in_their_order() -> None:
    class Counted(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            self.writes += 1
            return super().write(text)

    stream = Counted()
    sink = Sink(stream, str)
    sink.write("first")
    assert sink.flush(5.0)
    assert stream.getvalue() == "first\n"
    for number in range(1000):
        sink.write(f"line {number}")
    sink.close(5.0)
    assert stream.getvalue().splitlines()[1:] == [f"line {number}" for number in range(1000)]
    assert stream.writes < 100


def test_closing_gives_up_on_a_reader_that_never_reads() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader) as _reader:
        sink = Sink(stream, str, queue_lines=100)
        sink.write("x" * 1_000_000)
        assert not sink.flush(0.05)
        sink.close(0.05)
