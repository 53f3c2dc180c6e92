"""Structured logs with commit context: the product's face.

On a terminal columns, wrapped, and at its bottom what goes on (``console``, ``bottom``); elsewhere logfmt; JSON when
asked for (``lines``). There fields come in one order everywhere: what it is about, the commit that caused it, the
counts, the error and what to do. Credentials never get out, and what a commit's author wrote can neither forge a line
nor steer a terminal. Logging never raises and never blocks.

Rooms log with ``structlog.get_logger(__name__).info("release upgraded", release=key, took=1.4)``; the composition root
calls ``configure`` once and ``shutdown`` at the end.
"""

from gitsync.logs.console import Console
from gitsync.logs.context import commit_context
from gitsync.logs.lines import Line
from gitsync.logs.once import Once
from gitsync.logs.reading import read_line
from gitsync.logs.redact import forget_secrets, redact, register_secret
from gitsync.logs.secrets import MASK, keep_secret, keeping_secrets, mask_secrets
from gitsync.logs.setup import (
    LEVELS,
    LogFormat,
    LogLevel,
    StatusLine,
    configure,
    has_status_line,
    is_terminal,
    making_way,
    shutdown,
    takes_colours,
    width_of,
)

__all__ = [
    "LEVELS",
    "MASK",
    "Console",
    "Line",
    "LogFormat",
    "LogLevel",
    "Once",
    "StatusLine",
    "commit_context",
    "configure",
    "forget_secrets",
    "has_status_line",
    "is_terminal",
    "keep_secret",
    "keeping_secrets",
    "making_way",
    "mask_secrets",
    "read_line",
    "redact",
    "register_secret",
    "shutdown",
    "takes_colours",
    "width_of",
]
