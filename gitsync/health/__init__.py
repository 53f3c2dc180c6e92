"""Is this object ready, failed, or in progress, and why: pure functions on live objects, one file per kind.

The verdicts are those of kstatus, by which Helm 4 and Flux wait. The few that are not stand in a table of
docs/concepts.md, with the reason, and a test holds both against kstatus' own code. Start at ``assess``.
"""

from gitsync.health.expressions import ASKED, before_asking, by_answers
from gitsync.health.namespace import is_held_by
from gitsync.health.registry import assess, finished, has_health, helm_waits_for
from gitsync.health.selection import pods_of
from gitsync.health.stuckpods import stuck_pods
from gitsync.health.verdict import MESSAGE_LIMIT, READY, Health, Status, one_line, progressing

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
    "is_held_by",
    "one_line",
    "pods_of",
    "progressing",
    "stuck_pods",
]
