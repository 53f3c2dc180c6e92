"""The cluster: configuration and credentials, discovery, the verbs of the API on raw JSON objects, and shared watches.

The only room that speaks to an API server. Errors leave it as classes of gitsync.errors, with the object named.
``access`` has addresses and credentials, ``watching`` the watches; ``transport`` sends one request over a
``connection``, ``client`` has the verbs, and ``cluster`` is the one object that other rooms hold.
"""

from gitsync.cluster.access.remote import KubeconfigText, Remote, TokenAccess
from gitsync.cluster.access.secretconfig import CONFINED, KubeconfigAllowance
from gitsync.cluster.client import retry_on_conflict
from gitsync.cluster.cluster import Cluster
from gitsync.cluster.discovery import Resource, Served
from gitsync.cluster.timings import Timings
from gitsync.cluster.turns import work_for
from gitsync.cluster.watching.shared import Informer
from gitsync.cluster.watching.watchcache import WatchEvent

__all__ = [
    "CONFINED",
    "Cluster",
    "Informer",
    "KubeconfigAllowance",
    "KubeconfigText",
    "Remote",
    "Resource",
    "Served",
    "Timings",
    "TokenAccess",
    "WatchEvent",
    "retry_on_conflict",
    "work_for",
]
