"""GitPython, imported when it is first needed: that takes 0.15 s and fails where there is no git.

Its modules import each other, so two threads that begin at the same moment would wait for each other's half: hence a
lock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from gitsync.errors import GitRefused

if TYPE_CHECKING:
    from gitsync.git.wrapper import CleanGit

_importing = threading.Lock()


def git_python() -> ModuleType:
    """The package ``git``. Raises: GitRefused when there is no git executable."""
    with _imported():
        import git

        return git


def clean_git() -> type[CleanGit]:
    """GitPython's way to run git, in our environment. Raises: GitRefused when there is no git executable."""
    with _imported():
        from gitsync.git.wrapper import CleanGit

        return CleanGit


def no_git() -> GitRefused:
    """The error where git is not installed."""
    return GitRefused("there is no git on this machine", hint="install git, version 2.32 or newer")


@contextmanager
def _imported() -> Iterator[None]:
    with _importing:
        try:
            yield
        except ImportError as error:
            raise no_git() from error
