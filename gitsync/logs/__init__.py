"""Structured logs with commit context: the product's face.

On a terminal aligned, coloured lines; elsewhere logfmt; JSON when asked for. Fields come in one order everywhere:
what it is about, the commit that caused it, the counts, the error and what to do. Credentials never get out, and what
a commit's author wrote can neither forge a line nor steer a terminal. Logging never raises and never blocks.

Rooms log with ``structlog.get_logger(__name__).info("release upgraded", release=key, took=1.4)``; the composition root
calls ``configure`` once and ``shutdown`` at the end.
"""

from gitsync.logs.context import commit_context
from gitsync.logs.lines import Line, console_line, printable
from gitsync.logs.once import Once
from gitsync.logs.reading import read_line
from gitsync.logs.redact import forget_secrets, redact, register_secret
from gitsync.logs.secrets import MASK, keep_secret, keeping_secrets, mask_secrets
from gitsync.logs.setup import LEVELS, LogFormat, LogLevel, configure, shutdown

__all__ = [
    "LEVELS",
    "MASK",
    "Line",
    "LogFormat",
    "LogLevel",
    "Once",
    "commit_context",
    "configure",
    "console_line",
    "forget_secrets",
    "keep_secret",
    "keeping_secrets",
    "mask_secrets",
    "printable",
    "read_line",
    "redact",
    "register_secret",
    "shutdown",
]
