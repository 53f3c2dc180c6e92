"""Wiring: structlog and the libraries' stdlib logging into one sink."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO, get_args

import structlog

from gitsync.logs.bottom import Bottom
from gitsync.logs.console import USUAL_WIDTH, Console
from gitsync.logs.lines import Line, json_line, logfmt_line, make_line
from gitsync.logs.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from structlog.typing import EventDict

LogFormat = Literal["auto", "console", "logfmt", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)

#: Seconds for what is at the bottom of the terminal to go away, before something else is printed all the same.
_MAKE_WAY = 1.0
_METHOD_LEVELS = {"warn": "warning", "exception": "error", "fatal": "critical", "msg": "info"}


def configure(
    log_format: LogFormat = "auto", level: LogLevel = "info", stream: TextIO | None = None, *, verbose: bool = False
) -> None:
    """Send every line to ``stream`` (stderr) from now on; may be called again, the last call counts.

    ``auto`` is ``console`` on a terminal and ``logfmt`` elsewhere; ``verbose`` is the console's. Colours are used on a
    terminal unless NO_COLOR is set (no-color.org) or TERM is ``dumb``. Libraries are heard from warnings upwards,
    whatever ``level`` says: what they log below that includes headers and bodies.
    """
    shutdown()
    stream = stream if stream is not None else sys.stderr
    render = _renderer(log_format, stream, verbose)
    is_read = log_format in ("auto", "console") and _moves(stream)
    bottom = Bottom(width_of(stream), colour=takes_colours(stream)) if is_read else None
    _active.start(Sink(stream, lambda lost: render(_lost(lost)), bottom=bottom), render)
    structlog.configure(
        processors=[_active.process],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        context_class=dict,
        logger_factory=lambda *_: _active,
        cache_logger_on_first_use=False,
    )


def shutdown(timeout: float = 2.0) -> None:
    """Write what waits and let go of the stream and of the libraries' logging. Does nothing when not configured."""
    _active.stop(timeout)


class StatusLine:
    """What one part of the program says at the bottom of the terminal, as long as it goes on."""

    def __init__(self) -> None:
        self._since = 0.0
        self._said = ""

    def show(self, text: str, since: float | None = None) -> None:
        """Say something else, or nothing: ""; never waits. The seconds are those since ``since`` (time.monotonic), or
        since the first of it."""
        if text == self._said:
            return
        if not self._said:
            self._since = since if since is not None else time.monotonic()
        self._said = text
        if _active.sink is not None:
            _active.sink.say(id(self), text, self._since)


def has_status_line() -> bool:
    """Whether there is a terminal with a bottom to write to."""
    return _active.sink is not None and _active.sink.bottom is not None


@contextmanager
def making_way() -> Iterator[None]:
    """Inside, something else may be written to the terminal that the log goes to: nothing of ours is in its way."""
    sink = _active.sink
    hidden = sink is not None and sink.hide(_MAKE_WAY)
    try:
        yield
    finally:
        if sink is not None and hidden:
            sink.unhide()


def takes_colours(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal for colours: one that is not dumb, and NO_COLOR is not set."""
    return _moves(stream) and not os.environ.get("NO_COLOR")


def width_of(stream: TextIO) -> Callable[[], int]:
    """How to find out how many columns a terminal has just now."""

    def width() -> int:
        try:
            return os.get_terminal_size(stream.fileno()).columns or USUAL_WIDTH
        except (OSError, ValueError):
            return USUAL_WIDTH

    return width


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads this."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _moves(stream: TextIO) -> bool:
    """Whether what was written can be taken back."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


class _LibraryHandler(logging.Handler):
    """The stdlib's records, as lines of ours with a ``logger`` field."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: EventDict = {"logger": record.name}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        try:
            fields["event"] = record.getMessage()
        except Exception:  # wrong arguments for its format string: the library's mistake, not a reason to stop
            fields["event"] = str(record.msg)
        _active.write(_active.process(None, record.levelname.lower(), fields))


class _Active:
    """What is configured right now. It is the logger structlog hands finished lines to."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self._render: Callable[[Line], str] = logfmt_line
        self._handler = _LibraryHandler(logging.WARNING)
        self._root_level = logging.WARNING

    def start(self, sink: Sink, render: Callable[[Line], str]) -> None:
        self.sink, self._render = sink, render
        root = logging.getLogger()
        self._root_level = root.level
        root.setLevel(logging.WARNING)
        root.addHandler(self._handler)
        logging.captureWarnings(True)

    def stop(self, timeout: float) -> None:
        sink, self.sink = self.sink, None
        if sink is None:
            return
        logging.captureWarnings(False)
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._root_level)
        structlog.reset_defaults()
        sink.close(timeout)

    def process(self, _logger: object, method: str, fields: EventDict) -> str:
        """The last structlog processor: fields to text. Never raises."""
        level = _METHOD_LEVELS.get(method, method)
        event = fields.pop("event", "")
        error = _exception(fields.pop("exc_info", None))
        fields.pop("stack_info", None)
        try:
            return self._render(make_line(level, event, fields, now=time.time(), error=error))
        except Exception as failure:
            about = {"about": ",".join(map(str, fields)), "error": type(failure).__name__}
            return logfmt_line(make_line(level, "a log line could not be written", about, now=time.time(), error=None))

    def write(self, line: str) -> None:
        if self.sink is not None:
            self.sink.write(line)

    debug = info = warning = warn = error = critical = fatal = exception = msg = log = write


_active = _Active()
atexit.register(shutdown)


def _renderer(log_format: LogFormat, stream: TextIO, verbose: bool) -> Callable[[Line], str]:
    terminal = is_terminal(stream)
    if log_format == "json":
        return json_line
    if log_format == "logfmt" or (log_format == "auto" and not terminal):
        return logfmt_line
    width = width_of(stream) if terminal else None
    return Console(colour=takes_colours(stream), width=width, verbose=verbose).text


def _lost(count: int) -> Line:
    hint = "the reader of our output does not keep up, or went away for a while"
    return make_line("warning", "log lines lost", {"lines": count, "hint": hint}, now=time.time(), error=None)


def _exception(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        error = exc_info[1]
        return error if isinstance(error, BaseException) else None
    return sys.exc_info()[1] if exc_info else None
