"""Discord: a webhook, with an embed. Nobody is mentioned by what a message says."""

from __future__ import annotations

from collections.abc import Sequence

from gitsync.notify.notice import Notice
from gitsync.notify.services.message import message_of
from gitsync.notify.target import Post, Target, json_post

#: Characters (Discord: "Embed Limits"); 6000 of an embed in all.
MOST_TEXT, MOST_TITLE, MOST_USERNAME = 2500, 256, 80


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One message. Raises: SourceError."""
    message = message_of(notices, MOST_TEXT, target.username)
    embed = {
        "title": message.heading[:MOST_TITLE],
        "description": message.text,
        "color": int(message.color.removeprefix("#"), 16),
        "fields": [{"name": name[:MOST_TITLE], "value": value, "inline": False} for name, value in message.facts],
    }
    content = {
        "username": message.username[:MOST_USERNAME],
        "embeds": [embed],
        "allowed_mentions": {"parse": []},
    }
    url = target.url
    if url.path.endswith("/slack"):  # Flux speaks to Discord as to Slack, by this address
        url = url.with_path(url.path.removesuffix("/slack"), keep_query=True)
    return [json_post(url, content)]
