"""Microsoft Teams: a workflow's webhook with an Adaptive Card, or the deprecated connector with a message card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gitsync.notify.notice import Notice
from gitsync.notify.services.message import Message, message_of
from gitsync.notify.target import Post, Target, json_post

#: Characters; a message has at most 28 KB.
MOST_TEXT = 4000
_CONNECTOR = ".webhook.office.com"


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One message. Raises: SourceError."""
    url, message = target.url, message_of(notices, MOST_TEXT)
    is_connector = (url.host or "").endswith(_CONNECTOR)
    return [json_post(url, _message_card(message) if is_connector else _adaptive_card(message))]


def _message_card(message: Message) -> dict[str, Any]:
    return {
        "@type": "MessageCard",
        "@context": "https://schema.org/extensions",
        "themeColor": message.color.removeprefix("#"),
        "summary": message.heading,
        "sections": [
            {
                "activityTitle": message.heading,
                "text": message.text.replace("\n", "\n\n"),
                "markdown": False,
                "facts": [{"name": name, "value": value} for name, value in message.facts],
            }
        ],
    }


def _adaptive_card(message: Message) -> dict[str, Any]:
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": escaped(message.heading),
            "wrap": True,
            "weight": "bolder",
            "color": "attention" if message.is_error else "good",
        },
        *({"type": "TextBlock", "text": escaped(line), "wrap": True} for line in message.text.splitlines()),
    ]
    if message.facts:
        facts = [{"title": name, "value": escaped(value)} for name, value in message.facts]
        body.append({"type": "FactSet", "facts": facts})
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": {"width": "Full"},
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def escaped(text: str) -> str:
    """A TextBlock reads Markdown: no link and no mention comes of what a message says."""
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("<at>", "‹at›")
