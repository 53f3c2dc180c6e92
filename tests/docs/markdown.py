"""As much of Markdown as the checks of the documentation need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "sample-repo/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
)

_FENCE = re.compile(r" {0,3}(```+|~~~+)")
_HEADING = re.compile(r"#{1,6} +(.+)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def code_lines(page: Path) -> Iterator[tuple[int, str]]:
    r"""The lines of code blocks, fenced and indented, with their numbers; a command that goes on behind ``\`` counts
    as one line."""
    fence, begun, start = "", "", 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if (found := _FENCE.match(line)) and (not fence or line.strip() == fence):
            fence = "" if fence else found[1]
        elif fence or line.startswith("    "):
            begun, start = begun + line.strip(), start or number
            if begun.endswith("\\"):
                begun = begun[:-1]
                continue
            yield start, begun
            begun, start = "", 0


def prose(page: Path) -> str:
    """The text without its code blocks."""
    kept, fence = [], ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if (found := _FENCE.match(line)) and (not fence or line.strip() == fence):
            fence = "" if fence else found[1]
        elif not fence and not line.startswith("    "):
            kept.append(line)
    return "\n".join(kept)


def spans(text: str) -> list[str]:
    """The `code` in a text; a line break inside counts as a space."""
    return [" ".join(span.split()) for span in _SPAN.findall(text)]


def links(page: Path) -> list[str]:
    """The targets of its links."""
    return _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The anchors of its headings, as GitHub and most others make them."""
    headings = (_HEADING.fullmatch(line) for line in prose(page).splitlines())
    return {_anchor(found[1]) for found in headings if found}


def rows(page: Path) -> list[list[str]]:
    """The cells of its tables, without headings' separators."""
    lines = [line for line in prose(page).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("- |")]


def section(page: Path, heading: str) -> str:
    """The text below a heading, code included, up to the next one of its level."""
    text = page.read_text(encoding="utf-8")
    level = heading.partition(" ")[0]
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    end = re.search(rf"^{level} ", text[start:], re.MULTILINE)
    return text[start : start + end.start()] if end else text[start:]


def _anchor(heading: str) -> str:
    text = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return text.replace(" ", "-")
