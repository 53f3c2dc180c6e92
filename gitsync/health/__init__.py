"""Is this object ready, failed, or in progress, and why: pure functions on live objects, one file per kind.

The rules are kstatus', Helm's and Argo CD's where these agree; each file says where they do not, and which it follows.
Start at ``assess``.
"""

from gitsync.health.model import MESSAGE_LIMIT, Health, Status
from gitsync.health.registry import assess, finished, has_health
from gitsync.health.selection import pods_of

__all__ = ["MESSAGE_LIMIT", "Health", "Status", "assess", "finished", "has_health", "pods_of"]
