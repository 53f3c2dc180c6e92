"""What several modules of this folder need is in none of them: each can be read, changed and run alone."""

from __future__ import annotations

import ast
from pathlib import Path


def test_no_module_takes_helpers_from_another() -> None:
    found = {
        (file.name, node.module)
        for file in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    assert ("test_parity_install.py", "tests.parity.world") in found, "imports are found"
    assert {(name, module) for name, module in found if module.rpartition(".")[2].startswith("test_")} == set()
