"""The pages for contributors, and the packages' own words, name rooms, modules and files as they are."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

from tests.docs.markdown import PAGES, ROOT, prose, rows, section, spans

PACKAGE = ROOT / "gitsync"
#: What a path in the documentation begins with, when it is one of this repository.
PLACES = ("gitsync/", "tests/", "bench/", "docs/", ".ci/")
_NAME = re.compile(r"``([a-z_][\w.]*)/?``")
_LISTED = re.compile(r"^ {4}([a-z][a-z_, /]*?)  +\S", re.MULTILINE)
_PATH = re.compile(r"[a-z0-9_.][a-z0-9_./-]*")


def rooms() -> list[str]:
    """Packages, with a slash, and modules right below the package."""
    packages = [f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")]
    return sorted([*packages, *(path.name for path in PACKAGE.glob("*.py") if path.stem != "__init__")])


def test_the_drawing_of_the_rooms_names_each_once() -> None:
    text = section(ROOT / "docs" / "architecture.md", "## The rooms")
    assert sorted(re.findall(r"^ {6}(\S+)  +\S", text, re.MULTILINE)) == rooms()


def test_the_table_of_the_rooms_names_each_once() -> None:
    named = [span for row in rows(ROOT / "CONTRIBUTING.md") for span in spans(row[0])]
    assert sorted(named) == rooms()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = [span for span in spans(prose(page)) if _PATH.fullmatch(span)]
    paths = [span for span in named if span.startswith(PLACES) and "{" not in span]
    missing = [span for span in paths if not (ROOT / span).exists()]
    modules = [span for span in named if span.endswith(".py") and span not in paths]
    missing += [span for span in modules if not ((ROOT / span).exists() or any(PACKAGE.glob(f"**/{span}")))]
    assert missing == []


def resolves(name: str, package: str) -> bool:
    """Whether a dotted name is that of a module, or of something in one, below a package or below gitsync's own."""
    whole = name if name.startswith("gitsync") else f"{package}.{name}"
    try:
        importlib.import_module(whole)
    except ImportError:
        above, _, last = whole.rpartition(".")
        return hasattr(importlib.import_module(above), last)
    return True


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_package_says_what_it_is_and_names_modules_that_exist(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert len(said.split()) > 3
    package = ".".join(path.parent.relative_to(ROOT).parts)
    listed = [name.strip(" /") for line in _LISTED.findall(said) for name in line.split(",")]
    assert [name for name in [*_NAME.findall(said), *listed] if not resolves(name, package)] == []
