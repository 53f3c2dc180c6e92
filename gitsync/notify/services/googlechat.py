"""Google Chat: an incoming webhook, with a card."""

from __future__ import annotations

import html
from collections.abc import Sequence

from gitsync.notify.notice import Notice
from gitsync.notify.services.message import message_of
from gitsync.notify.target import Post, Target, json_post

#: Characters; a message has at most 32,000 bytes.
MOST_TEXT = 4000


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One message. Raises: SourceError."""
    message = message_of(notices, MOST_TEXT)
    color = f'<font color="{message.color}">{"error" if message.is_error else "info"}</font>'
    widgets: list[dict[str, object]] = [
        {"textParagraph": {"text": f"{color}<br>{html.escape(message.text).replace(chr(10), '<br>')}"}}
    ]
    for name, value in message.facts:
        shown = {"topLabel": html.escape(name), "text": html.escape(value), "wrapText": True}
        widgets.append({"decoratedText": shown})
    card = {"header": {"title": message.heading}, "sections": [{"widgets": widgets}]}
    return [json_post(target.url, {"cardsV2": [{"cardId": "gitsync", "card": card}]})]
