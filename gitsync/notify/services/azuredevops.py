"""Azure DevOps: POST /ORGANIZATION/PROJECT/_apis/git/repositories/NAME/commits/COMMIT/statuses."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Final

from yarl import URL

from gitsync.notify.notice import Notice, State
from gitsync.notify.services.commitstatus import Status, endpoint, repository_of, status_posts
from gitsync.notify.target import Post, Target

_STATES: Final[Mapping[State, str]] = {"pending": "pending", "success": "succeeded", "failure": "failed"}
_VERSION = "7.1"
_GENRE = "fluxcd"


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """A status for each event that is about a commit. Raises: SourceError."""
    server, organization, project, name = _place(target)
    token = target.needs("token in its Secret", target.token)
    headers = {"Authorization": f"Basic {base64.b64encode(f':{token}'.encode()).decode()}"}

    def request(status: Status) -> tuple[URL, dict[str, object]]:
        parts = (organization, project, "_apis", "git", "repositories", name, "commits", status.commit, "statuses")
        url = endpoint(server, *parts).with_query({"api-version": _VERSION})
        content: dict[str, object] = {
            "state": _STATES[status.state],
            "description": status.description,
            "context": {"genre": _GENRE, "name": status.name},
        }
        return url, content

    return status_posts(target, notices, headers, request)


def _place(target: Target) -> tuple[str, str, str, str]:
    """Of ``https://dev.azure.com/ORGANIZATION/PROJECT/_git/NAME`` or as its SSH has it
    (``git@ssh.dev.azure.com:v3/ORGANIZATION/PROJECT/NAME``): server, organization, project and name.

    Raises: SourceError.
    """
    repository = repository_of(target)
    server, parts = repository.server, repository.path.split("/")
    if server == "https://ssh.dev.azure.com" and len(parts) == 4 and parts[0] == "v3":
        return "https://dev.azure.com", parts[1], parts[2], parts[3]
    if len(parts) == 4 and parts[2] == "_git":
        return server, parts[0], parts[1], parts[3]
    hint = "give https://dev.azure.com/ORGANIZATION/PROJECT/_git/NAME in spec.address"
    raise target.wrong("names no repository", hint)
