"""Git: a bare mirror of one repository, read as objects and never checked out; the only user of GitPython.

``GitSource`` says where and what, ``Mirror`` asks for the head, fetches commits and gives each as a ``Tree`` of files,
``Poller`` asks again and again and survives a remote that is away, ``watch_local`` wakes it for a repository on this
machine.
"""

from gitsync.git.barerepository import MAX_PATHS, MAX_READ, clean_path
from gitsync.git.memory import GitMemory, on_behalf_of
from gitsync.git.mirror import Mirror, Submodule
from gitsync.git.mirrordirectory import claim_mirror, mirror_name, remove_mirror, size_on_disk
from gitsync.git.poll import Poll, Poller
from gitsync.git.reference import HEAD, GitReference, Resolved, resolve
from gitsync.git.signed import SignedObject
from gitsync.git.source import GitCredentials, GitSource, GitTexts, redacted_url, same_repository
from gitsync.git.watch import watch_local

__all__ = [
    "HEAD",
    "MAX_PATHS",
    "MAX_READ",
    "GitCredentials",
    "GitMemory",
    "GitReference",
    "GitSource",
    "GitTexts",
    "Mirror",
    "Poll",
    "Poller",
    "Resolved",
    "SignedObject",
    "Submodule",
    "claim_mirror",
    "clean_path",
    "mirror_name",
    "on_behalf_of",
    "redacted_url",
    "remove_mirror",
    "resolve",
    "same_repository",
    "size_on_disk",
    "watch_local",
]
