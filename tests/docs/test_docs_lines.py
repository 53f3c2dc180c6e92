"""docs/operations.md explains every line that the agent may write."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from gitsync.api import names
from tests.docs.markdown import ROOT, prose, rows, spans

PAGE = ROOT / "docs" / "operations.md"
ROOMS = ("agent", "sync", "release", "sources", "runtime", "apply", "web/receivers")
LEVELS = {"info", "warning", "error", "exception"}
#: Helpers of release/reconcile/ that log, and which of their arguments is the event.
HELPERS = {"_once": 2, "once": 2, "say": 2}


def events() -> Iterator[tuple[str, str]]:
    """Every event of info and above that is a plain text, with its place."""
    for room in ROOMS:
        for file in sorted((ROOT / "gitsync" / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and (event := _event(node)):
                    yield event, _place(file, node)


def _event(call: ast.Call) -> str:
    function = call.func
    if not isinstance(function, ast.Attribute):
        return ""
    position = HELPERS.get(function.attr, 0 if function.attr in LEVELS and _is_log(function.value) else None)
    if position is None or len(call.args) <= position:
        return ""
    argument = call.args[position]
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""


def _is_log(value: ast.expr) -> bool:
    return (isinstance(value, ast.Name) and value.id == "log") or (
        isinstance(value, ast.Attribute) and value.attr == "log"
    )


def _place(file: Path, node: ast.expr) -> str:
    return f"{file.relative_to(ROOT)}:{node.lineno}"


def test_every_line_of_the_agent_is_explained() -> None:
    explained = {line for row in rows(PAGE) for line in spans(row[0])}
    found = list(events())
    assert len({event for event, _ in found}) > 40  # the search itself works
    assert not [f"{place}: {event}" for event, place in found if event not in explained]


def test_lines_that_are_made_of_parts_are_explained() -> None:
    explained = {line for row in rows(PAGE) for line in spans(row[0])}
    assert explained >= {f"object {verb}" for verb in ("created", "changed", "deleted", "kept")}
    assert explained >= {f"release {verb}" for verb in ("installed", "upgraded")}
    for verb in ("install", "upgrade"):
        assert explained >= {f"{verb} retries exhausted", f"{verb} failed, will be tried again"}


def test_every_reason_of_a_condition_that_is_written_is_explained() -> None:
    text = prose(PAGE)
    written = {
        value
        for file in (ROOT / "gitsync" / "release").rglob("*.py")
        for name, value in vars(names).items()
        if isinstance(value, str) and name.isupper() and value.isalpha() and f" {name}" in file.read_text("utf-8")
    }
    reasons = {
        reason
        for reason in written
        if reason.endswith(("Failed", "NotReady", "Missing", "Cycle", "Error", "InvalidSpec"))
        and reason not in ("FetchFailed",)
    }
    assert len(reasons) > 5
    assert not [reason for reason in reasons if reason not in text]


def test_every_line_of_the_agent_is_explained_with_its_level() -> None:
    levels = {line: row[1] for row in rows(PAGE) for line in spans(row[0])}
    said = {event for event, _ in events()}
    assert not [event for event in said if levels[event] not in ("info", "warning", "error")]
