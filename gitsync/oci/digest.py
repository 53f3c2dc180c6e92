"""Digests: ``sha256:<hex>``."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable

from gitsync.spool import Body

_SHA256 = "sha256:"

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}")


def is_digest(text: str) -> bool:
    """Whether a text is a digest by an algorithm that is checked here."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes, like: str = "sha256:") -> str:
    """The digest of ``data``, by the algorithm of another digest. Takes time that grows with it."""
    return _digest([data], like)


async def digest_of_body(body: Body, like: str) -> str:
    """The same of a body: known, for most. Raises: OSError."""
    if like.startswith(_SHA256):
        return _SHA256 + body.sha256
    return await asyncio.to_thread(lambda: _digest(body.pieces(), like))


def _digest(pieces: Iterable[bytes], like: str) -> str:
    algorithm = like.partition(":")[0]
    made = hashlib.new(algorithm)
    for piece in pieces:
        made.update(piece)
    return f"{algorithm}:{made.hexdigest()}"
