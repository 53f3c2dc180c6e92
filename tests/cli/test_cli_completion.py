"""``gitsync completion`` with a real shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("gitsync rec", ["reconcile"]),
        ("gitsync get hel", ["helmreleases", "helmrepositories", "helmcharts"]),
        ("gitsync reconcile helmrelease --with", ["--with-source"]),
        ("gitsync nosuch x", []),
    ],
)
def test_bash_completes(words: str, expected: list[str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    number = len(words.split()) - 1
    script = (
        f"source <(gitsync completion bash); COMP_WORDS=({words}); COMP_CWORD={number}; _gitsync_completion gitsync; "
    )
    done = subprocess.run(
        [bash, "-c", script + 'printf "%s\\n" "${COMPREPLY[@]}"'],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.split() == expected
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_their_scripts(shell: str) -> None:
    done = subprocess.run(
        [BIN / "gitsync", "completion", shell], capture_output=True, text=True, timeout=120, check=True
    )
    assert "_GITSYNC_COMPLETE=complete_" + shell in done.stdout
