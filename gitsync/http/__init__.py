"""HTTP requests to the servers of sources: bounded in size and time, careful with credentials across redirects.

``client`` has one pool of connections for a process, ``urls`` reads URLs and writes them without their credentials.
"""

from gitsync.http.client import TIMEOUT_LIMIT, Connection, Hints, HttpClient, Request, refusal
from gitsync.http.urls import parse_url, redacted

__all__ = [
    "TIMEOUT_LIMIT",
    "Connection",
    "Hints",
    "HttpClient",
    "Request",
    "parse_url",
    "redacted",
    "refusal",
]
