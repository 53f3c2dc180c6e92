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
    """What a command has to tell, without credentials."""
    return object_as_json(_told(value))


def object_as_json(manifest: Any) -> str:
    """An object as it is, to be read back: who may read it may read what is in it."""
    return json.dumps(manifest, indent=4, ensure_ascii=True) + "\n"


def _told(value: Any) -> Any:
    from gitsync.logs import redact

    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _told(item) for name, item in value.items()}
    return [_told(item) for item in value] if isinstance(value, list | tuple) else value


def as_yaml(value: Any) -> str:
    """YAML that Kubernetes reads back as ``value``, an object as it is."""
    from gitsync.diff.yamltext import yaml_lines

    return "\n".join(yaml_lines(value)) + "\n"


def one_line(text: str) -> str:
    """``text`` on one line, without credentials and without anything that steers a terminal."""
    from gitsync.logs import redact

    return printable(redact(" ".join(text.split())))


def write(text: str) -> None:
    """To stdout. Whatever it holds, a terminal gets lines, tabs and our own colours, and nothing that steers it."""
    _write(text, sys.stdout)


def say(text: str) -> None:
    """A line about the result, which is no part of it: to stderr, with the same care."""
    _write(f"{text}\n", sys.stderr)


def _write(text: str, stream: TextIO) -> None:
    from gitsync.logs import making_way

    with making_way():
        stream.write(printable_lines(text))
        stream.flush()


def print_error(message: str, hint: str = "") -> None:
    """To stderr, without credentials, control characters written escaped; red on a terminal."""
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
    """Says on stderr what is being waited for, and for how long by now: at the bottom of a terminal, where an agent
    that is part of the work may say more; a plain line elsewhere."""
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
