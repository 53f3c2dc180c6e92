"""How results are printed: tables as kubectl prints them, JSON and YAML, errors. What comes from a cluster or a
repository is printed without control characters, so that it cannot steer the terminal.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
    from gitsync.logs import printable, redact

    return printable(redact(" ".join(text.split())))


def write(text: str) -> None:
    """To stdout."""
    sys.stdout.write(text)
    sys.stdout.flush()


def print_error(message: str, hint: str = "") -> None:
    """To stderr, without credentials, control characters written escaped; red on a terminal."""
    from gitsync.logs import printable, redact

    lines = [printable(line) for line in redact(message).splitlines()]
    if hint:
        lines.append("hint: " + printable(redact(hint)))
    first = f"\x1b[31m{lines[0]}\x1b[0m" if colours(sys.stderr) and lines else "".join(lines[:1])
    print(first, *lines[1:], sep="\n", file=sys.stderr)


def colours(stream: Any) -> bool:
    """Whether ``stream`` takes colours: a terminal that is not dumb, and NO_COLOR is not set."""
    import os

    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Says on stderr what is being waited for: a moving line on a terminal, a plain line elsewhere."""
    if not sys.stderr.isatty():
        print(f"{what} ...", file=sys.stderr)
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
