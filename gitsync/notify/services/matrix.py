"""Matrix: an m.room.message into a room."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from urllib.parse import quote

import orjson
from yarl import URL

from gitsync.notify.notice import Notice
from gitsync.notify.services.message import message_of
from gitsync.notify.target import Post, Target, json_post

#: Characters; an event has at most 65,536 bytes.
MOST_TEXT = 8000
_PATH = "_matrix/client/v3/rooms"


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One message; a try that is repeated has the same transaction, so that it is said once. Raises: SourceError."""
    token = target.needs("token in its Secret", target.token)
    room = quote(target.needs("spec.channel", target.channel), safe="")
    content = {"msgtype": "m.text", "body": message_of(notices, MOST_TEXT).plain()}
    said = orjson.dumps([content, [notice.at.isoformat() for notice in notices]])
    transaction = hashlib.sha256(said).hexdigest()[:40]
    base = str(target.url).rstrip("/")
    address = URL(f"{base}/{_PATH}/{room}/send/m.room.message/{transaction}", encoded=True)
    return [json_post(address, content, {"Authorization": f"Bearer {token}"}, method="PUT")]
