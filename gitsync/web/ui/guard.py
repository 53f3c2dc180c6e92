"""Who may ask, and what a browser may do with the answer.

The page of ``gitsync ui`` acts with its user's rights, on an address that every program and every web page on the same
machine can reach: hence a key that the printed address carries (kept in a cookie from then on), the check of Host (a
name of somebody else's that leads to 127.0.0.1: DNS rebinding) and of Origin, and a token in every form. The agent's
own is for readers: whoever reaches it by one of its names may look, and nobody may do anything.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOOPBACK: Final = ("127.0.0.1", "localhost")
_PORT: Final = re.compile(r":[0-9]{1,5}\Z")
#: In the query of the address that is printed.
KEY: Final = "key"
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer, browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Readers:
    """Lets everybody look who asks by one of these ``names``, or on the same machine by the loopback's, where
    forwardings begin; at any port, for the browser knows another one then."""

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = frozenset(name.lower() for name in names)

    def listen(self, port: int) -> str:
        """The page is served at this port; returns the address to open on the same machine."""
        return f"http://127.0.0.1:{port}/"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers what is not to be answered."""
        return self._refusal(request) or await self._answered(request, handler)

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await handler(request)

    def _refusal(self, request: web.Request) -> web.Response | None:
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not self._is_own(host, request.remote or ""):
            return web.Response(status=421, text=f"this address serves {self._served()}\n", headers=HEADERS)
        same = origin is None or origin in (f"http://{host}", *self._also_from(host))
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        safe = request.method in ("GET", "HEAD")
        if not same or (not safe and site not in ("same-origin", "none")) or (not safe and origin is None):
            return web.Response(status=403, text="asked for by another site\n", headers=HEADERS)
        return None

    def _is_own(self, host: str, peer: str) -> bool:
        name = _PORT.sub("", host).lower()
        return _is_of_this_machine(peer) if name in _LOOPBACK else name in self._names

    def _also_from(self, host: str) -> Collection[str]:
        return (f"https://{host}",)  # of an ingress

    def _served(self) -> str:
        return "only the name that web_host is set to, 127.0.0.1 and localhost"


class Guard(Readers):
    """Lets in who knows the address of the page that was printed. Its key is drawn anew with each start."""

    def __init__(self) -> None:
        super().__init__()
        self._key = secrets.token_urlsafe(24)
        self._hosts: frozenset[str] = frozenset()
        self._cookie = "gitsync"

    def listen(self, port: int) -> str:
        """The page is served at this port of the loopback; returns the address to open."""
        self._hosts = frozenset(f"{host}:{port}" for host in _LOOPBACK)
        self._cookie = f"gitsync-{port}"  # cookies know no ports: another page's is left alone
        return f"http://127.0.0.1:{port}/?{KEY}={self._key}"

    @property
    def token(self) -> str:
        """What every form carries."""
        return hmac.new(self._key.encode(), b"form", hashlib.sha256).hexdigest()

    def holds(self, token: str) -> bool:
        """Whether a form is one of ours."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.query.get(KEY)
        if given is not None and request.method == "GET":
            return self._entered(request, given)
        if not self._is_known(request):
            return web.Response(status=403, text="Open the address that `gitsync ui` has printed.\n", headers=HEADERS)
        return await handler(request)

    def _is_own(self, host: str, peer: str) -> bool:
        return host in self._hosts

    def _also_from(self, host: str) -> Collection[str]:
        return ()

    def _served(self) -> str:
        return "only 127.0.0.1 and localhost"

    def _entered(self, request: web.Request, given: str) -> web.Response:
        """With the right key, a cookie and the same address without the key, so that it is in no history."""
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._key.encode()):
            return web.Response(status=403, text="Open the address that `gitsync ui` has printed.\n", headers=HEADERS)
        response = web.Response(status=303, headers={**HEADERS, "Location": request.path})
        response.set_cookie(self._cookie, self._key, httponly=True, samesite="Lax", path="/")
        return response

    def _is_known(self, request: web.Request) -> bool:
        given = request.cookies.get(self._cookie, "")
        return hmac.compare_digest(given.encode(errors="surrogateescape"), self._key.encode())


def _is_of_this_machine(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
