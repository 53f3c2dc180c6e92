"""URLs of sources: read, and written without their credentials."""

from __future__ import annotations

from yarl import URL

from gitsync.errors import SourceError

#: A longer scheme is none: the text may be anything, a password among it.
_LONGEST_SCHEME = 20


def redacted(url: str | URL) -> str:
    """The URL without user, password and query (signed URLs carry credentials there), for messages and logs."""
    try:
        parsed = URL(url) if isinstance(url, str) else url
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "(unreadable URL)"


def parse_url(url: str) -> URL:
    """A URL as it is written, its escapes untouched: the query of a signed one has to reach the server so.

    Raises: SourceError for what is no http(s) URL; its text has neither credentials nor the query.
    """
    try:
        # Already encoded: signed query strings must reach the server as they are.
        parsed = URL(url, encoded=True)
        if parsed.scheme in ("http", "https") and parsed.host:
            return parsed
    except ValueError:
        pass
    shown = redacted(url) if len(url.partition(":")[0]) < _LONGEST_SCHEME else "what is given as a URL"
    raise SourceError(f"{shown} is no http(s) URL", url=shown)
