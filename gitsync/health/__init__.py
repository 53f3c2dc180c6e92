"""Is this object ready, failed, or in progress, and why: pure functions on live objects, one file per kind.

The rules are kstatus', Helm's and Argo CD's where these agree; each file says where they do not, and which it follows.
Start at ``assess``.
"""

from gitsync.health.expressions import ASKED, before_asking, by_answers
from gitsync.health.model import MESSAGE_LIMIT, READY, Health, Status, one_line, progressing
from gitsync.health.registry import assess, finished, has_health, helm_waits_for
from gitsync.health.selection import pods_of

__all__ = [
    "ASKED",
    "MESSAGE_LIMIT",
    "READY",
    "Health",
    "Status",
    "assess",
    "before_asking",
    "by_answers",
    "finished",
    "has_health",
    "helm_waits_for",
    "one_line",
    "pods_of",
    "progressing",
]
