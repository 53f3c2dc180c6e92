"""The services by the type of a Provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gitsync.api.notification import COMMIT_STATUS_TYPES
from gitsync.notify.notice import Notice
from gitsync.notify.services import (
    alertmanager,
    azuredevops,
    bitbucket,
    discord,
    generic,
    gitea,
    github,
    gitlab,
    googlechat,
    grafana,
    matrix,
    msteams,
    opsgenie,
    pagerduty,
    slack,
    telegram,
)
from gitsync.notify.target import Post, Target


def _nothing(body: bytes) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Service:
    """``posts`` makes requests of events; ``gathers`` says that one message tells of all events of a commit;
    ``refused`` reads out of a successful answer that it is none, "" when it is one."""

    posts: Callable[[Target, Sequence[Notice]], list[Post]]
    gathers: bool = False
    refused: Callable[[bytes], str] = _nothing


SERVICES: Final[Mapping[str, Service]] = {
    "generic": Service(generic.posts),
    "generic-hmac": Service(generic.signed_posts),
    "slack": Service(slack.posts, gathers=True, refused=slack.refused),
    "discord": Service(discord.posts, gathers=True),
    "msteams": Service(msteams.posts, gathers=True),
    "googlechat": Service(googlechat.posts, gathers=True),
    "telegram": Service(telegram.posts, gathers=True, refused=telegram.refused),
    "matrix": Service(matrix.posts, gathers=True),
    "alertmanager": Service(alertmanager.posts),
    "grafana": Service(grafana.posts),
    "pagerduty": Service(pagerduty.posts),
    "opsgenie": Service(opsgenie.posts),
    "github": Service(github.posts),
    "gitlab": Service(gitlab.posts),
    "gitea": Service(gitea.posts),
    "bitbucket": Service(bitbucket.posts),
    "azuredevops": Service(azuredevops.posts),
}


def is_status(kind: str) -> bool:
    """Whether a type of Provider gives a commit its status."""
    return kind in COMMIT_STATUS_TYPES
