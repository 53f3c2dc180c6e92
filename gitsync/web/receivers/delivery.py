"""What somebody sent to a webhook, and what comes of looking at it. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

#: Bytes of a body: Flux's own bound.
MAX_BODY = 3 << 20

UNAUTHORIZED, TOO_LARGE, UNUSABLE = 401, 413, 400
#: What a request is refused for, by the status of the answer, as metrics call it.
REASONS: Final = {
    UNUSABLE: "body",
    UNAUTHORIZED: "unproved",
    404: "unknown",
    405: "method",
    408: "slow",
    TOO_LARGE: "too_large",
    500: "defect",
    503: "closed",
}


@dataclass(frozen=True, slots=True, repr=False)
class Delivery:
    """A request that was sent to a webhook. ``headers`` have names in lower case; neither they nor ``body`` are ever
    to be told: they may hold what opens the webhook."""

    headers: Mapping[str, str]
    body: bytes = b""

    def header(self, name: str) -> bytes:
        """A header as it came, b"" without one."""
        return self.headers.get(name, "").encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A delivery that nothing comes of. ``why`` is for the sender and quotes nothing of what was sent;
    ``is_wrong`` when it did not prove who it is from."""

    status: int
    why: str

    @property
    def is_wrong(self) -> bool:
        """Whether the sender has not proved who he is."""
        return self.status == UNAUTHORIZED


@dataclass(frozen=True, slots=True, repr=False)
class Proved:
    """A delivery that is from whom it has to be.

    ``event`` is what its sender calls it, "" when he calls it nothing; ``identity`` tells it from all others of its
    receiver, b"" where nothing does; ``is_ping`` when it only tries whether somebody answers; ``content`` is what
    stands in the place of the body, where something does; ``claims`` are those of its token.
    """

    event: str = ""
    identity: bytes = b""
    is_ping: bool = False
    content: Mapping[str, Any] | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)


WRONG_SIGNATURE = Refusal(UNAUTHORIZED, "the signature is missing or wrong")
WRONG_TOKEN = Refusal(UNAUTHORIZED, "the token is missing or wrong")
NO_JSON = Refusal(UNUSABLE, "the body is no JSON object that can be used")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of a delivery. ``retry_after`` is in seconds, 0 when nothing is said of it."""

    status: int
    text: str
    retry_after: float = 0.0
