"""Logins that end, and who gives them. Plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gitsync.oci.dockerconfig import Login


@dataclass(frozen=True, slots=True, repr=False)
class Lease:
    """A login that is good until a moment of ``time.monotonic``."""

    login: Login
    until: float


@dataclass(frozen=True, slots=True, repr=False)
class Lender:
    """Gives a login whenever one is needed, the same as long as that is good. ``id`` says whose it is: what is known of
    a repository stays known when the login changes. ``forget`` is told of one that was not taken before its end."""

    id: str
    lend: Callable[[], Awaitable[Lease]] = field(compare=False)
    forget: Callable[[Lease], None] = field(compare=False)
