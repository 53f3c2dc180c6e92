"""Gitea and Forgejo: POST /repos/OWNER/NAME/statuses/COMMIT."""

from __future__ import annotations

from collections.abc import Sequence

from yarl import URL

from gitsync.notify.notice import Notice
from gitsync.notify.services.commitstatus import Status, endpoint, owned, status_posts
from gitsync.notify.target import Post, Target


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """A status for each event that is about a commit. Raises: SourceError."""
    repository, token = owned(target), target.needs("token in its Secret", target.token)
    headers, api = {"Authorization": f"token {token}"}, f"{repository.server}/api/v1"

    def request(status: Status) -> tuple[URL, dict[str, object]]:
        url = endpoint(api, "repos", repository.owner, repository.name, "statuses", status.commit)
        content: dict[str, object] = {"state": status.state, "context": status.name, "description": status.description}
        return url, content

    return status_posts(target, notices, headers, request)
