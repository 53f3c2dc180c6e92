"""What can go wrong, all of it a ControlPlaneError:

ControlPlaneError
├── BuildError      a binary could not be built or found
├── StartError      a process did not come up; carries the tail of its log
├── ApiError        the API server refused a request
└── CommandError    kubectl or helm ended with an error; carries its standard error
"""

from __future__ import annotations

from collections.abc import Sequence


class ControlPlaneError(Exception):
    """Base of every error of this package."""


class BuildError(ControlPlaneError):
    """A binary could not be built or found."""


class StartError(ControlPlaneError):
    """A process did not come up, or ended on its own."""

    def __init__(self, process: str, reason: str, log_tail: str) -> None:
        super().__init__(f"{process} {reason}; its log ends:\n{log_tail}")
        self.process = process
        self.reason = reason
        self.log_tail = log_tail


class ApiError(ControlPlaneError):
    """The API server answered with an error status."""

    def __init__(self, method: str, path: str, status: int, body: str) -> None:
        super().__init__(f"{method} {path}: {status} {body[:500]}")
        self.status = status
        self.body = body


class CommandError(ControlPlaneError):
    """A command-line client ended with an error."""

    def __init__(self, command: Sequence[str], code: int, stdout: str, stderr: str) -> None:
        super().__init__(f"{' '.join(command)} ended with {code}: {stderr.strip() or stdout.strip()}")
        self.code = code
        self.stdout = stdout
        self.stderr = stderr
