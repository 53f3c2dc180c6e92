"""Git: a bare mirror of one repository, read as objects and never checked out; the only user of GitPython.

``GitSource`` says where and what, ``Mirror`` asks for the head, fetches commits and gives each as a ``Tree`` of files,
``Poller`` asks again and again and survives a remote that is away, ``watch_local`` wakes it for a repository on this
machine.
"""

from gitsync.git.mirror import Mirror, mirror_name
from gitsync.git.poll import Poll, Poller
from gitsync.git.source import GitCredentials, GitSource, redacted_url
from gitsync.git.store import MAX_READ
from gitsync.git.watch import watch_local

__all__ = [
    "MAX_READ",
    "GitCredentials",
    "GitSource",
    "Mirror",
    "Poll",
    "Poller",
    "mirror_name",
    "redacted_url",
    "watch_local",
]
