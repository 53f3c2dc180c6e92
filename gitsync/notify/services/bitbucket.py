"""Bitbucket Cloud: POST /repositories/OWNER/NAME/commit/COMMIT/statuses/build."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from yarl import URL

from gitsync.notify.notice import Notice, State
from gitsync.notify.services.commitstatus import Status, endpoint, owned, status_posts
from gitsync.notify.target import Post, Target

_HOSTED: Final = {"https://bitbucket.org": "https://api.bitbucket.org"}
_STATES: Final[Mapping[State, str]] = {"pending": "INPROGRESS", "success": "SUCCESSFUL", "failure": "FAILED"}


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """A status for each event that is about a commit. Raises: SourceError."""
    repository = owned(target)
    token = target.needs("token (USER:APP-PASSWORD) in its Secret", target.token)
    login = base64.b64encode(token.encode()).decode()
    headers = {"Authorization": f"Basic {login}"}
    api = f"{_HOSTED.get(repository.server, repository.server)}/2.0"

    def request(status: Status) -> tuple[URL, dict[str, object]]:
        parts = ("repositories", repository.owner, repository.name, "commit", status.commit, "statuses", "build")
        url = endpoint(api, *parts)
        content: dict[str, object] = {
            # A key has 40 characters at most.
            "key": hashlib.sha1(status.name.encode(), usedforsecurity=False).hexdigest(),
            "state": _STATES[status.state],
            "name": status.name,
            "description": status.description,
            "url": str(endpoint(repository.server, repository.owner, repository.name, "commits", status.commit)),
        }
        return url, content

    return status_posts(target, notices, headers, request)
