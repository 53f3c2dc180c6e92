"""Deliveries that are proved by a token of an issuer: of Google's Pub/Sub (``gcr``), and ``generic-oidc``."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gitsync.api.receiver import OIDCProvider, Receiver
from gitsync.cel.expressions import Expressions
from gitsync.errors import GitsyncError, RetryableError
from gitsync.web.receivers.body import decoded
from gitsync.web.receivers.delivery import NO_JSON, UNAUTHORIZED, WRONG_TOKEN, Delivery, Proved, Refusal
from gitsync.web.receivers.issuers import Issuers
from gitsync.web.receivers.jwt import Claims, Head, bearer, claims_of, head_of
from gitsync.web.receivers.senders import identity_of

#: Who issues the tokens of Pub/Sub ("Authenticate push subscriptions"), as its tokens may name itself, too.
GOOGLE: Final = "https://accounts.google.com"
_GOOGLE_ALSO: Final = "accounts.google.com"
_NO_ISSUER: Final = Refusal(503, "the keys of the token's issuer cannot be had at this moment")
_UNDECIDED: Final = Refusal(503, "the token cannot be judged at this moment")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose tokens ``gcr`` takes, and for whom they have to be."""

    email: str
    audience: str


class Tokens:
    """Judges deliveries. ``google`` is whose tokens are those of ``gcr``."""

    def __init__(self, issuers: Issuers, expressions: Expressions, google: str = GOOGLE) -> None:
        self._issuers = issuers
        self._expressions = expressions
        self._google = google

    def issuers_of(self, receiver: Receiver) -> tuple[str, ...]:
        """Whose tokens a receiver takes, as these name themselves; nobody's when it is proved by other means."""
        if receiver.spec.type == "gcr":
            return (self._google, _GOOGLE_ALSO)
        return tuple(provider.issuer_url for provider in receiver.spec.oidc_providers)

    async def of_google(self, delivery: Delivery, account: Account) -> Proved | Refusal:
        """A delivery of Pub/Sub: what it carries is JSON in a text of its body."""
        claims = await self.claims_of_google(delivery, account)
        if isinstance(claims, Refusal):
            return claims
        content = _pushed(delivery.body)
        if content is None:
            return NO_JSON
        # Pub/Sub sends many deliveries with one token, which does not sign them.
        return Proved(identity=_identity(delivery), content=content)

    async def of_provider(self, delivery: Delivery, providers: Sequence[OIDCProvider]) -> Proved | Refusal:
        """A delivery with a token of one of these issuers, for which all that it asks for is true."""
        claims = await self.claims_of_provider(delivery, providers)
        return claims if isinstance(claims, Refusal) else Proved(identity=_identity(delivery), claims=claims)

    async def claims_of_google(self, delivery: Delivery, account: Account) -> Claims | Refusal:
        """What the token of a delivery of Pub/Sub says, whatever the body is."""
        token = bearer(delivery.headers.get("authorization", ""))
        head = head_of(token)
        names = (self._google, _GOOGLE_ALSO)
        if head is None or head.issuer not in names:
            return WRONG_TOKEN
        claims = await self._claims(token, head, self._google, names, account.audience)
        if isinstance(claims, Refusal):
            return claims
        is_meant = claims.get("email") == account.email and claims.get("email_verified") is True
        return claims if is_meant else WRONG_TOKEN

    async def claims_of_provider(self, delivery: Delivery, providers: Sequence[OIDCProvider]) -> Claims | Refusal:
        """What the token of a delivery says that is of one of these issuers, if all is true that is asked for."""
        token = bearer(delivery.headers.get("authorization", ""))
        head = head_of(token)
        provider = next((item for item in providers if head is not None and item.issuer_url == head.issuer), None)
        if head is None or provider is None:
            return WRONG_TOKEN
        claims = await self._claims(token, head, head.issuer, (head.issuer,), provider.wanted_audience)
        if isinstance(claims, Refusal):
            return claims
        refusal = await self._validated(provider, claims)
        return refusal or claims

    async def _claims(
        self, token: str, head: Head, issuer: str, names: Collection[str], audience: str
    ) -> Claims | Refusal:
        try:
            key = (await self._issuers.keys(issuer, head)).find(head)
        except GitsyncError:
            return _NO_ISSUER
        claims = claims_of(token, key, head, names, audience) if key is not None else None
        return claims if claims is not None else WRONG_TOKEN

    async def _validated(self, provider: OIDCProvider, claims: Mapping[str, Any]) -> Refusal | None:
        named = [(item.name, item.expression) for item in provider.variables]
        failed = []
        for item in provider.validations:
            try:
                answer = await self._expressions.evaluate(item.expression, {"claims": claims}, named)
            except RetryableError:
                return _UNDECIDED
            if answer is not True:
                failed.append(item.message)
        return Refusal(UNAUTHORIZED, f"the token is not one that is wanted: {'; '.join(failed)}") if failed else None


def _identity(delivery: Delivery) -> bytes:
    return identity_of(bearer(delivery.headers.get("authorization", "")).encode(), delivery.body)


def _pushed(body: bytes) -> dict[str, Any] | None:
    """What a message of Pub/Sub says of an image: action, digest and tag, "" where it says none."""
    message = (decoded(body) or {}).get("message")
    data = message.get("data") if isinstance(message, dict) else None
    try:
        content = decoded(base64.b64decode(data, validate=True)) if isinstance(data, str) else None
    except (binascii.Error, ValueError):
        return None
    if content is None:
        return None
    return {name: str(content.get(name) or "") for name in ("action", "digest", "tag")}
