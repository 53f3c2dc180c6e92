"""How ``gitsync verify`` shows what came of a commit: for a terminal, for a comment, for a program, for a CI server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from gitsync.api.duration import format_duration
from gitsync.cli.common.output import one_line, table
from gitsync.cli.repository.changes import change_data, changes_text
from gitsync.logs import redact
from gitsync.text import counted

if TYPE_CHECKING:
    from gitsync.preview.plan import Preview
    from gitsync.preview.verify import Result, Verification

_HEADERS = ["#", "RELEASE", "CHART", "RESULT", "AFTER", "OBJECTS"]
_KUSTOMIZATIONS = ["#", "KUSTOMIZATION", "PATH", "RESULT", "AFTER", "OBJECTS"]
#: How many characters of differences a comment holds; GitHub takes 65,536 in all.
_COMMENT = 50_000
#: How many problems a comment names.
_NAMED = 50
_ASSUMED = "Namespaces that are not in the repository were taken for granted:"
#: The characters that XML 1.0 cannot have, not even escaped.
_NO_XML = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def as_text(result: Verification, changes: Preview | None, *, colour: bool = False) -> str:
    """Changes, then tables of Kustomizations and releases in the order in which they became ready, then what went
    wrong."""
    parts = [changes_text(changes.objects, colour=colour)] if changes is not None else []
    tables = [table([headers, *map(_row, items)]) for headers, items in _results(result)]
    parts.append("\n".join(tables))
    parts += [f"{line}\n" for line in ("", *_wrong(result))] if not result.passed else []
    parts += [f"\n{_ASSUMED} {', '.join(result.assumed)}\n"] if result.assumed else []
    if before := _wrong_before(result):
        parts += ["\n", *(f"{line}\n" for line in before)]
    return "".join([*parts, "\n", _summary(result), "\n"])


def as_markdown(result: Verification, changes: Preview | None) -> str:
    """A comment for a pull request. Texts that come from a commit's author, a chart or an image stand in code spans: so
    they are no markup, link nowhere and mention nobody."""
    mark = "✅" if result.passed else "❌"
    lines = [f"### {mark} gitsync verify: {_summary(result)}", ""]
    for headers, items in _results(result):
        lines += [_md_row(headers), _md_row(["---"] * len(headers))]
        lines += [_md_row(_md_cells(_row(item))) for item in items]
        lines.append("")
    lines += _md_list(_wrong(result))
    if before := _wrong_before(result):
        lines += ["", before[0], "", *_md_list(before[1:])]
    lines += ["", f"{_ASSUMED} {', '.join(map(_code, result.assumed))}"] if result.assumed else []
    if changes is not None and changes.objects:
        lines += ["", f"<details><summary>{len(changes.changing)} objects change</summary>", ""]
        lines += [*_fenced(changes_text(changes.objects, colour=False)), "", "</details>"]
    return "\n".join([*lines, ""])


def as_data(result: Verification, changes: Preview | None) -> dict[str, Any]:
    """As JSON."""
    return {
        "passed": result.passed,
        "commit": result.commit,
        "took": round(result.took, 3),
        "kustomizations": [
            {"kustomization": item.key.namespaced_name, "path": item.content, **_result_data(item)}
            for item in result.kustomizations
        ],
        "releases": [
            {"release": item.key.namespaced_name, "chart": item.content, **_result_data(item)}
            for item in result.releases
        ],
        "problems": list(map(redact, result.problems)),
        "assumedNamespaces": list(result.assumed),
        "changes": [change_data(item) for item in changes.objects] if changes is not None else None,
        "changeProblems": [asdict(problem) for problem in changes.problems] if changes is not None else None,
        "base": {"commit": result.base.commit, "problems": _wrong(result.base)} if result.base is not None else None,
    }


def _result_data(item: Result) -> dict[str, Any]:
    return {
        "result": item.phase,
        "message": redact(item.message),
        "order": item.order or None,
        "after": round(item.after, 3) if item.order else None,
        "origin": item.origin,
        "objects": list(map(str, item.objects)),
    }


def _results(result: Verification) -> Iterator[tuple[list[str], tuple[Result, ...]]]:
    """The tables that are not empty: their headers, and what is in them."""
    for headers, items in ((_KUSTOMIZATIONS, result.kustomizations), (_HEADERS, result.releases)):
        if items:
            yield headers, items


def as_junit(result: Verification) -> str:
    """A test suite with a case for each Kustomization and each release, and one for everything else."""
    suite = ElementTree.Element("testsuite", name="gitsync verify", time=f"{result.took:.3f}")
    for item in (*result.kustomizations, *result.releases):
        case = ElementTree.SubElement(
            suite, "testcase", classname=item.key.kind, name=item.key.namespaced_name, time=f"{item.after:.3f}"
        )
        if item.phase == "suspended":
            ElementTree.SubElement(case, "skipped")
        elif item.phase != "ready":
            message = _xml(item.message)
            ElementTree.SubElement(case, "failure", message=message, type=item.phase).text = message
    case = ElementTree.SubElement(suite, "testcase", classname="repository", name="files and plain objects")
    if result.problems:
        text = "\n".join(map(_xml, result.problems))
        ElementTree.SubElement(case, "failure", message=text.splitlines()[0], type="failed").text = text
    failed = sum(case.find("failure") is not None for case in suite)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failed))
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in suite)))
    ElementTree.indent(suite)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ElementTree.tostring(suite, encoding='unicode')}\n"


def _row(item: Result) -> list[str]:
    after = format_duration(round(item.after, 1)) if item.order else ""
    name, objects = item.key.namespaced_name, str(len(item.objects) or "")
    cells = [str(item.order or ""), name, item.content, item.phase, after, objects]
    return [one_line(cell) for cell in cells]


def _wrong(result: Verification) -> list[str]:
    return [one_line(line) for line in result.wrong]


def _wrong_before(result: Verification) -> list[str]:
    """A heading and the problems that the base commit has without this one; nothing when it has none."""
    if result.base is None or not (wrong := _wrong(result.base)):
        return []
    return [f"The base commit {result.base.commit[:7]} has problems of its own:", *wrong]


def _summary(result: Verification) -> str:
    number = len(result.problems)
    others = [counted(number, "problem")] if number else []
    named = [("Kustomizations", result.kustomizations)] if result.kustomizations else []
    named += [("releases", result.releases)] if result.releases or not named else []
    ready = [f"{sum(item.phase == 'ready' for item in items)} of {len(items)} {name}" for name, items in named]
    counts = ", ".join([f"{' and '.join(ready)} become ready", *others])
    return f"commit {result.commit[:7]}: {counts} ({format_duration(round(result.took, 1))})"


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", one_line(text))


def _md_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _md_list(lines: list[str]) -> list[str]:
    more = [f"- and {len(lines) - _NAMED} more"] if len(lines) > _NAMED else []
    return [*(f"- {_code(line)}" for line in lines[:_NAMED]), *more]


def _md_cells(cells: list[str]) -> list[str]:
    """The cells of a row for Markdown. Only the chart has free text, so it stands in code, its bars escaped: a bar ends
    a cell in code as well."""
    chart = _HEADERS.index("CHART")
    return [_code(cell).replace("|", "\\|") if at == chart and cell else cell for at, cell in enumerate(cells)]


def _code(text: str) -> str:
    """``text`` as a code span: between more backticks than it has in a row."""
    ticks = "`" * (_longest_row(text) + 1)
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _fenced(text: str) -> list[str]:
    """The lines of a block of code with ``text`` in it, cut at whole lines."""
    fence = "`" * max(3, _longest_row(text) + 1)
    kept, size = [], 0
    lines = text.rstrip().split("\n")
    for line in lines:
        size += len(line) + 1
        if size > _COMMENT:
            break
        kept.append(line)
    left = len(lines) - len(kept)
    more = ["", f"{left} more lines: `gitsync diff` shows them all"] if left else []
    return [f"{fence}diff", *kept, fence, *more]


def _longest_row(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
