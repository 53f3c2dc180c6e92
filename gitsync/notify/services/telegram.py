"""Telegram: sendMessage of a bot, as plain text."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from gitsync.notify.notice import Notice
from gitsync.notify.services.message import message_of
from gitsync.notify.target import Post, Target, json_post
from gitsync.text import shorten

#: Of a message, counted as UTF-16 does: 4096.
MOST_TEXT = 4096


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One message to the chat that the channel names. Raises: SourceError."""
    token = target.needs("token in its Secret", target.token)
    chat = target.needs("spec.channel", target.channel)
    text = message_of(notices, MOST_TEXT - 1000).plain()
    content = {
        "chat_id": chat,
        "text": shorten(text, MOST_TEXT if text.isascii() else MOST_TEXT // 2),
        "link_preview_options": {"is_disabled": True},
    }
    url = target.url.joinpath(f"bot{token}", "sendMessage", encoded=True)
    return [json_post(url, content)]


def refused(body: bytes) -> str:
    """Why not, of an answer with ``"ok": false``."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if isinstance(answer, dict) and answer.get("ok") is False:
        return str(answer.get("description") or "not ok")
    return ""
