"""GitHub and GitHub Enterprise: POST /repos/OWNER/NAME/statuses/COMMIT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from yarl import URL

from gitsync.notify.notice import Notice
from gitsync.notify.services.commitstatus import Status, endpoint, owned, status_posts
from gitsync.notify.target import Post, Target

_HOSTED: Final = {"https://github.com": "https://api.github.com"}
_VERSION = "2022-11-28"


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """A status for each event that is about a commit. Raises: SourceError."""
    repository, token = owned(target), target.needs("token in its Secret", target.token)
    api = _HOSTED.get(repository.server, f"{repository.server}/api/v3")
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": _VERSION,
    }

    def request(status: Status) -> tuple[URL, dict[str, object]]:
        url = endpoint(api, "repos", repository.owner, repository.name, "statuses", status.commit)
        content: dict[str, object] = {"state": status.state, "context": status.name, "description": status.description}
        return url, content

    return status_posts(target, notices, headers, request)
