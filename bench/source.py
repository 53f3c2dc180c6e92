"""The Git repository that the agent watches."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_IDENTITY = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_AUTHOR_NAME": "Bench",
    "GIT_AUTHOR_EMAIL": "bench@example.test",
    "GIT_COMMITTER_NAME": "Bench",
    "GIT_COMMITTER_EMAIL": "bench@example.test",
}


class SourceRepository:
    """A repository with a working tree, on the branch main."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("config", "gc.auto", "0")

    def stage(self, files: Mapping[str, str]) -> None:
        """Writes files and adds them to the index, so that committing them is all that is left to do."""
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._git("add", "--all")

    def commit(self, subject: str) -> None:
        """Commits what is staged."""
        self._git("commit", "--quiet", "--message", subject)

    def head(self) -> str:
        """The id of the last commit."""
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            env={**environment, **_IDENTITY},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout
