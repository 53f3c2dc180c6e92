"""Where a repository's host shows a commit to people: GitHub, GitLab, Gitea, Bitbucket, Azure DevOps. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, urlsplit

#: ``git@host:team/fleet.git``, as git has it for ssh.
_SCP = re.compile(r"[^@/:]+@([A-Za-z0-9.-]+):(?!//)(.+)")
_WEB = ("https", "http")
#: Names of hosts whose pages of commits have another address than most.
_AZURE, _GITLAB, _BITBUCKET = "dev.azure.com", "gitlab", "bitbucket"


def commit_page(url: str, commit: str) -> str:
    """The address of a commit's page, by the URL from which the repository is fetched; "" when there is none. An
    unknown host is taken for one whose addresses are as GitHub's and Gitea's."""
    place = _place(url)
    if place is None or not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return ""
    site, path = place
    host = urlsplit(site).hostname or ""
    page = next((page for known, page in _PAGES.items() if known in host), _like_github)
    return f"{site}/{quote(page(path), safe='/-_.~')}/{commit}"


def _place(url: str) -> tuple[str, str] | None:
    """``https://host`` and the repository's path there, without anything of a login."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme in _WEB and host:
        return f"{parts.scheme}://{host}{f':{port}' if port else ''}", _named(parts.path)
    if parts.scheme == "ssh" and host:
        return f"https://{host}", _named(parts.path)
    found = _SCP.fullmatch(url)
    return (f"https://{found[1].lower()}", _named(found[2])) if found else None


def _named(path: str) -> str:
    return path.strip("/").removesuffix(".git")


def _like_github(path: str) -> str:
    return f"{path}/commit"


def _like_gitlab(path: str) -> str:
    return f"{path}/-/commit"


def _like_bitbucket(path: str) -> str:
    """The address for bitbucket.org, and for a Bitbucket server (``scm/PROJECT/NAME``)."""
    scm = re.fullmatch(r"scm/([^/]+)/([^/]+)", path)
    return f"projects/{scm[1]}/repos/{scm[2]}/commits" if scm else f"{path}/commits"


_PAGES: dict[str, Callable[[str], str]] = {_AZURE: _like_github, _GITLAB: _like_gitlab, _BITBUCKET: _like_bitbucket}
