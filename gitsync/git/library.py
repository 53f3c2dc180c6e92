"""GitPython, imported when it is first needed: that takes 0.15 s and fails where there is no git."""

from __future__ import annotations

import threading
from types import ModuleType

_importing = threading.Lock()


def git_python() -> ModuleType:
    """The package ``git``. Raises: ImportError when there is no git executable.

    Its modules import each other, so two threads that begin at the same moment would wait for each other's half.
    """
    with _importing:
        import git

        return git
