"""GitLab: POST /projects/ID/statuses/COMMIT; the project by its number or by its whole path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from yarl import URL

from gitsync.notify.notice import Notice, State
from gitsync.notify.services.commitstatus import Status, endpoint, repository_of, status_posts
from gitsync.notify.target import Post, Target

_STATES: Final[Mapping[State, str]] = {"pending": "pending", "success": "success", "failure": "failed"}


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """A status for each event that is about a commit. Raises: SourceError."""
    repository, token = repository_of(target), target.needs("token in its Secret", target.token)
    headers = {"PRIVATE-TOKEN": token}

    def request(status: Status) -> tuple[URL, dict[str, object]]:
        url = endpoint(f"{repository.server}/api/v4", "projects", repository.path, "statuses", status.commit)
        content: dict[str, object] = {
            "state": _STATES[status.state],
            "name": status.name,
            "description": status.description,
        }
        return url, content

    return status_posts(target, notices, headers, request)
