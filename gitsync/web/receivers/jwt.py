"""Signed tokens (JWT, RFC 7519) of an issuer whose keys are given (JWKS, RFC 7517). Pure.

The library is imported where a token comes: it takes a tenth of a second and 8 MB, for those that have such webhooks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import jwt

#: Algorithms with a key that only the issuer has; with the others, whoever can verify a token can make one.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
#: Seconds by which clocks may differ.
_LEEWAY: Final = 30
_MOST_KEYS: Final = 64
#: Characters of a token; a header of a request has no more anyway.
_LONGEST: Final = 8190
_BEARER: Final = "bearer "

Claims = dict[str, Any]


class Head(NamedTuple):
    """What an unverified token says of itself: who has issued it, and by which key and algorithm it is signed."""

    issuer: str
    key_id: str
    algorithm: str


class Keys:
    """The keys of an issuer, by their ids."""

    def __init__(self, jwks: object) -> None:
        """``jwks`` is a JSON Web Key Set, decoded. Keys that cannot be used are passed over."""
        import jwt

        found = jwks.get("keys") if isinstance(jwks, dict) else None
        self._keys: dict[str, jwt.PyJWK] = {}
        for item in (found if isinstance(found, list) else ())[:_MOST_KEYS]:
            if not isinstance(item, dict) or item.get("use", "sig") != "sig":
                continue
            try:
                key = jwt.PyJWK.from_dict(item)
            except (jwt.exceptions.PyJWTError, ValueError, TypeError, KeyError):
                continue
            self._keys[str(item.get("kid", ""))] = key

    def find(self, head: Head) -> jwt.PyJWK | None:
        """The key of a token; one that names none may have any, where there is one only."""
        if not head.key_id and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(head.key_id)

    def __len__(self) -> int:
        return len(self._keys)


def bearer(authorization: str) -> str:
    """The token of an Authorization header, "" where there is none."""
    if authorization[: len(_BEARER)].lower() != _BEARER:
        return ""
    token = authorization[len(_BEARER) :].strip()
    return token if len(token) <= _LONGEST and token.isascii() else ""


def head_of(token: str) -> Head | None:
    """What a token says of itself; None for what is none. Nothing of it is to be believed."""
    import jwt

    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.exceptions.PyJWTError, ValueError, RecursionError):
        return None
    issuer, key_id, algorithm = claims.get("iss"), header.get("kid", ""), header.get("alg")
    if not isinstance(issuer, str) or not isinstance(key_id, str) or not isinstance(algorithm, str):
        return None
    if algorithm not in _ALGORITHMS:
        return None
    return Head(issuer, key_id, algorithm)


def claims_of(token: str, key: jwt.PyJWK, head: Head, issuers: Collection[str], audience: str) -> Claims | None:
    """What a token says, when ``key`` has signed it, one of ``issuers`` has issued it for ``audience`` and it has not
    expired; else None."""
    import jwt

    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[head.algorithm],
            audience=audience,
            issuer=list(issuers),
            leeway=_LEEWAY,
            options={"require": ["exp", "iss", "aud"]},
        )
    except (jwt.exceptions.PyJWTError, ValueError, TypeError, RecursionError):
        return None
    return dict(claims)
