"""The cluster: configuration and credentials, discovery, the verbs of the API on raw JSON objects, and shared watches.

The only room that speaks to an API server. Errors leave it as classes of gitsync.errors, with the object named.
"""

from gitsync.cluster.cluster import Cluster
from gitsync.cluster.discovery import Resource, Served
from gitsync.cluster.objects import retry_on_conflict
from gitsync.cluster.secretconfig import CONFINED, Leave
from gitsync.cluster.shared import Informer
from gitsync.cluster.store import WatchEvent
from gitsync.cluster.timings import Timings

__all__ = [
    "CONFINED",
    "Cluster",
    "Informer",
    "Leave",
    "Resource",
    "Served",
    "Timings",
    "WatchEvent",
    "retry_on_conflict",
]
