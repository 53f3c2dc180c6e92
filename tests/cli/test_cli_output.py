"""Whatever a command has to print: nothing but lines, tabs and our own colours reaches a terminal."""

from __future__ import annotations

import ast
import io
import re
import unicodedata
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gitsync
from gitsync.api.identity import ObjectKey
from gitsync.cli.common.output import one_line, print_error, say, write
from gitsync.cli.repository.changes import changes_text
from gitsync.diff import DiffLine
from gitsync.diff.yamltext import yaml_lines
from gitsync.preview.dryrun import ObjectPreview
from gitsync.text import BOLD, CYAN, DIM, GREEN, RED, RESET, YELLOW, painted, printable, printable_lines
from tests.screen import STEERING

OURS = (BOLD, CYAN, DIM, GREEN, RED, RESET, YELLOW)
REDIS = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "redis")
HOSTILE = "a\x1b]0;owned\x07\x9b2J\u202egpj\u200bb\u2066c\ufeff\r\u2028\U000e0041"
TEXTS = st.text() | st.lists(st.sampled_from([*HOSTILE, *OURS, "\n", "\t", "x"])).map("".join)


def steers(text: str) -> list[str]:
    """What is in a text that a terminal may act on, but for lines, tabs and our colours."""
    for colour in OURS:
        text = text.replace(colour, "")
    return [letter for letter in text if unicodedata.category(letter) in STEERING and letter not in "\n\t"]


@given(TEXTS)
def test_nothing_that_is_printed_steers_a_terminal(text: str) -> None:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        write(text)
        say(text)
        print_error(text, hint=text)
    assert steers(out.getvalue()) == []
    assert steers(err.getvalue()) == []
    assert steers(printable(text)) == []
    assert "\x1b" not in printable(text)
    assert "\n" not in one_line(text)


def test_every_character_that_unicode_has_for_steering_is_escaped() -> None:
    every = "".join(map(chr, range(0x110000)))
    assert [letter for letter in printable(every) if unicodedata.category(letter) in STEERING] == []
    assert printable(HOSTILE).isprintable()


def test_what_is_printed_well_stays_as_it_is() -> None:
    text = f"key:\n\t- é 日本 😀 {painted('red', RED)} {painted('bold', BOLD)}\n"
    assert printable_lines(text) == text


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_yaml_of_an_object_is_printed_as_it_is_read_back(value: object) -> None:
    text = "\n".join(yaml_lines(value))
    assert printable_lines(text) == text


@pytest.mark.parametrize("colour", [False, True])
def test_a_difference_of_a_hostile_object_is_harmless(colour: bool) -> None:
    item = ObjectPreview(
        REDIS, "change", (DiffLine("+", HOSTILE), DiffLine("-", f"{RED}x")), origin=HOSTILE, why=HOSTILE
    )
    text = changes_text([item], colour=colour)
    assert steers(text) == []
    assert colour or "\x1b" not in text


def test_nothing_else_of_the_command_line_writes() -> None:
    """Not by print, nor to the streams themselves: all of it goes through ``output``."""
    found = []
    for file in sorted((Path(gitsync.__file__).parent / "cli").rglob("*.py")):
        if file.name == "output.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and re.fullmatch(
                r"print|sys\.(stdout|stderr)\.(write|buffer.*)|typer\.secho", ast.unparse(node.func)
            ):
                found.append(f"{file.name}:{node.lineno}")
    assert found == []
