"""Whether a body was signed with a token that two sides share, compared in constant time. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

#: The algorithms that a signature may name; others are wrong.
ALGORITHMS: Final = frozenset({"sha1", "sha256", "sha512"})
_SHA256: Final = frozenset({"sha256"})


def is_signed(signature: bytes, token: bytes, body: bytes, algorithms: Collection[str] = ALGORITHMS) -> bool:
    """Whether ``signature``, written ``sha256=<hex>``, is the HMAC of ``body`` with ``token``."""
    name, equals, digest = signature.partition(b"=")
    algorithm = name.decode("ascii", "replace").lower()
    if not equals or algorithm not in algorithms:
        return False
    return is_hmac(digest, token, body, algorithm)


def is_hmac(digest: bytes, token: bytes, body: bytes, algorithm: str) -> bool:
    """Whether the hexadecimal ``digest`` is the HMAC of ``body`` with ``token``. With an empty token nothing is, since
    anybody could have made it."""
    if not token:
        return False
    wanted = hmac.new(token, body, algorithm).hexdigest().encode()
    return hmac.compare_digest(wanted, digest.strip().lower())


def is_hub_signed(sha256: bytes, any_signature: bytes, token: bytes, body: bytes) -> bool:
    """By ``X-Hub-Signature-256`` where there is one, else by ``X-Hub-Signature``, which names its algorithm."""
    if sha256:
        return is_signed(sha256, token, body, _SHA256)
    return is_signed(any_signature, token, body)


def is_same(given: bytes, token: bytes) -> bool:
    """Whether a token is the one that is wanted; none is when that is empty."""
    return bool(token) and hmac.compare_digest(given, token)
