"""How results are printed: tables as kubectl prints them, JSON and YAML, errors. Nothing else of the command line
writes to a terminal, so that what comes from a cluster or a repository cannot steer it.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from gitsync.text import RED, painted, printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_GAP = "   "


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The widest cell of each column."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def format_row(cells: Sequence[str], columns: Sequence[int]) -> str:
    """One line of a table; cells wider than their column push the rest to the right."""
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, columns, strict=True)).rstrip()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lines with all columns as wide as their widest cell; "" without rows."""
    columns = widths(rows)
    return "".join(format_row(row, columns) + "\n" for row in rows)


def as_json(value: Any) -> str:
    """A command's result as JSON, without credentials in its texts."""
    return object_as_json(_redacted(value))


def object_as_json(manifest: Any) -> str:
    """An object as JSON, unchanged: it may be read back, and the user may read it in the cluster as well."""
    return json.dumps(manifest, indent=4, ensure_ascii=True) + "\n"


def _redacted(value: Any) -> Any:
    from gitsync.logs import redact

    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(item) for name, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, list | tuple) else value


def as_yaml(value: Any) -> str:
    """An object as YAML, unchanged: Kubernetes reads it back as ``value``."""
    from gitsync.diff.yamltext import yaml_lines

    return "\n".join(yaml_lines(value)) + "\n"


def one_line(text: str) -> str:
    """``text`` on one line, without credentials and without anything that steers a terminal."""
    from gitsync.logs import redact

    return printable(redact(" ".join(text.split())))


def write(text: str) -> None:
    """Write to stdout. Of control characters only line ends, tabs and gitsync's own colours are passed on, so that no
    text can steer the terminal."""
    _write(text, sys.stdout)


def say(text: str) -> None:
    """Write a line that is not part of the result to stderr, as careful as ``write``."""
    _write(f"{text}\n", sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    from gitsync.logs import making_way

    with making_way():
        stream.write(printable_lines(text))
        stream.flush()


def print_error(message: str, hint: str = "") -> None:
    """Write an error to stderr: without credentials, control characters escaped, its first line red on a terminal."""
    from gitsync.logs import redact

    lines = [printable(line) for line in redact(message).splitlines()]
    if hint:
        lines.append("hint: " + printable(redact(hint)))
    first = painted("".join(lines[:1]), RED if colours(sys.stderr) else "")
    say("\n".join([first, *lines[1:]]))


def colours(stream: TextIO) -> bool:
    """Whether ``stream`` takes colours: a terminal that is not dumb, and NO_COLOR is not set."""
    from gitsync.logs import takes_colours

    return takes_colours(stream)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show on stderr ``what`` is being waited for and for how long so far: on a terminal as a status line at its
    bottom, elsewhere as a plain line. On a terminal an agent that runs in this process may show its own status there.
    """
    from gitsync.logs import StatusLine, has_status_line

    if not has_status_line():
        say(f"{what} ...")
        yield
        return
    line = StatusLine()
    line.show(what)
    try:
        yield
    finally:
        line.show("")
