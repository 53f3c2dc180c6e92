"""Each test is in one of two runs, ``make test`` and ``make test-e2e``, and none stands on another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import cast

import pytest

from tests.conftest import E2E, PROMISES, pytest_collection_modifyitems

TESTS = Path(__file__).parent


def test_no_folder_of_tests_is_passed_over(pytestconfig: pytest.Config) -> None:
    """As pytest passes over what is called ``build``, unless it is told otherwise."""
    folders = {file.parent for file in TESTS.rglob("test_*.py")}
    names = {name for folder in folders for name in folder.relative_to(TESTS).parts}
    passed_over = pytestconfig.getini("norecursedirs")
    assert [name for name in sorted(names) if any(fnmatch(name, pattern) for pattern in passed_over)] == []


class Found:
    """As much of a test as is asked of it when it is collected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.marks: list[str] = []

    def add_marker(self, mark: pytest.MarkDecorator) -> None:
        self.marks.append(mark.name)


def test_what_is_in_e2e_is_left_to_its_own_run_but_for_what_is_named() -> None:
    assert {file.name for file in E2E.glob("test_*.py")} >= PROMISES, "what is named is there"
    new, inside, named, elsewhere = (
        Found(path)
        for path in (
            E2E / "test_e2e_new.py",
            E2E / "deeper" / "test_e2e_new.py",
            E2E / next(iter(PROMISES)),
            TESTS / "graph" / "test_graph_new.py",
        )
    )
    pytest_collection_modifyitems(cast(list[pytest.Item], [new, inside, named, elsewhere]))
    assert (new.marks, inside.marks, named.marks, elsewhere.marks) == (["e2e"], ["e2e"], [], [])


def imported(text: str) -> Iterator[str]:
    """The modules that a module imports, and what it imports from them, which may be modules."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{name.name}" for name in node.names)


def test_no_module_takes_anything_from_one_of_tests() -> None:
    """What several need is in a module beside them: each can be read, changed and run alone."""
    modules = {file.stem for file in TESTS.rglob("test_*.py")}
    found = {(file.name, name) for file in TESTS.rglob("*.py") for name in imported(file.read_text())}
    assert ("test_runs.py", "tests.conftest.E2E") in found, "imports are found"
    assert [(file, name) for file, name in sorted(found) if modules.intersection(name.split("."))] == []
    assert list(imported("from tests.e2e import test_e2e_order as here")) == ["tests.e2e.test_e2e_order"]


def shared_tests() -> Iterator[str]:
    """The tests in modules that are none of tests: others run them by importing them."""
    for file in TESTS.rglob("*.py"):
        if file.name.startswith("test_"):
            continue
        module = ".".join(file.relative_to(TESTS.parent).with_suffix("").parts)
        for node in ast.parse(file.read_text()).body:
            name = getattr(node, "name", "")
            if name.startswith("test_") or (name.startswith("Test") and isinstance(node, ast.ClassDef)):
                yield f"{module}.{name}"


def test_tests_that_several_modules_run_are_run_by_some() -> None:
    taken = {name for file in TESTS.rglob("test_*.py") for name in imported(file.read_text())}
    shared = sorted(shared_tests())
    assert "tests.cluster.conformance.test_an_object_s_whole_life" in shared, "they are found"
    assert [name for name in shared if name not in taken] == []
