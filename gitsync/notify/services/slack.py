"""Slack: chat.postMessage with a token, or an incoming webhook."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gitsync.notify.notice import Notice
from gitsync.notify.services.message import message_of
from gitsync.notify.target import Post, Target, json_post

#: Characters of an attachment's text.
MOST_TEXT = 4000


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One message. Raises: SourceError."""
    message = message_of(notices, MOST_TEXT, target.username)
    text = escaped(message.text)
    attachment = {
        "color": message.color,
        "author_name": message.heading,
        "fallback": escaped(f"{message.heading}: {message.text.partition(chr(10))[0]}"),
        "text": text,
        "mrkdwn_in": [],
        "fields": [{"title": name, "value": escaped(value), "short": False} for name, value in message.facts],
    }
    content = {"username": message.username, "attachments": [attachment]}
    if target.channel:
        content["channel"] = target.channel
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    return [json_post(target.url, content, headers)]


def refused(body: bytes) -> str:
    """Slack's API answers 200 also to what it does not take: ``{"ok": false, "error": "channel_not_found"}``."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""  # an incoming webhook says "ok"
    if isinstance(answer, dict) and answer.get("ok") is False:
        return str(answer.get("error") or "not ok")
    return ""


def escaped(text: str) -> str:
    """So that nothing in it is a mention or a link (Slack: "Escaping text")."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
