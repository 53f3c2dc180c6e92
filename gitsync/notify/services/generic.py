"""A webhook of anybody's: Flux's event as JSON, signed with a key where the type is generic-hmac."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace

from gitsync.notify.notice import CONTROLLER, Notice
from gitsync.notify.target import Post, Target, json_post


def posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """One request for each event, with the headers of the Secret. Raises: SourceError."""
    headers = {"Gotk-Component": CONTROLLER, **target.headers}
    return [json_post(target.url, notice.as_json(), headers) for notice in notices]


def signed_posts(target: Target, notices: Sequence[Notice]) -> list[Post]:
    """Events as JSON, signed: ``X-Signature: sha256=...`` over the body. Raises: SourceError."""
    key = target.needs("token in its Secret", target.token).encode()
    return [
        replace(post, headers={**post.headers, "X-Signature": f"sha256={_mac(key, post.body)}"})
        for post in posts(target, notices)
    ]


def _mac(key: bytes, body: bytes) -> str:
    return hmac.new(key, body, hashlib.sha256).hexdigest()
