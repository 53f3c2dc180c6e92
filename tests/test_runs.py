"""Each test is in one of two runs, ``make test`` and ``make test-e2e``: none is in neither."""

from __future__ import annotations

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
