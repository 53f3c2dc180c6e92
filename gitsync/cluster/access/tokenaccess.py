"""Access to another cluster by tokens of a ServiceAccount of this one: asked for, and renewed before they end."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gitsync.cluster.access.access import Access
from gitsync.cluster.access.credentials import Loader, access_from
from gitsync.cluster.access.remote import TokenAccess
from gitsync.cluster.access.secretconfig import KubeconfigAllowance, confined
from gitsync.cluster.timings import Timings

#: The share of a token's life after which another one is asked for: what is left is for an API server that is away.
_USED = 0.8
_NAME = "remote"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token of a ServiceAccount, and for how many seconds it is good."""

    token: str = field(repr=False)
    lifetime: float


class TokenSource:
    """Gives access to what ``wanted`` describes; ``issue`` asks for a token, each time for a fresh one."""

    def __init__(
        self,
        wanted: TokenAccess,
        issue: Callable[[], Awaitable[IssuedToken]],
        timings: Timings,
        allowed: KubeconfigAllowance,
    ) -> None:
        self._wanted = wanted
        self._issue = issue
        self._timings = timings
        self._allowed = allowed
        self._kubeconfig: dict[str, Any] = {}

    async def load(self, previous: Access | None = None) -> Access:
        """See CredentialSource. Raises what ``issue`` raises, too."""
        issued = await self._issue()
        return await access_from(lambda: self._read(issued), "the cluster's description", self._timings, previous)

    def helm_access(self, access: Access) -> dict[str, str]:
        """See CredentialSource."""
        return {"kubeconfig_content": json.dumps(self._kubeconfig)}

    def _read(self, issued: IssuedToken) -> Loader:
        self._kubeconfig = confined(_kubeconfig(self._wanted, issued.token), self._allowed)
        return _TokenLoader(self._kubeconfig, issued.lifetime)


class _TokenLoader(Loader):
    """Loads a kubeconfig with a token that ends."""

    def __init__(self, content: dict[str, Any], lifetime: float) -> None:
        super().__init__(content, config_base_path=None)
        self._lifetime = lifetime

    def renew_after(self, timings: Timings) -> float | None:
        """Counted from now by the token's lifetime, not by its expiry: the clocks of two machines differ."""
        return self._lifetime * _USED


def _kubeconfig(wanted: TokenAccess, token: str) -> dict[str, Any]:
    cluster = {"server": wanted.server}
    if wanted.authority:
        cluster["certificate-authority-data"] = base64.b64encode(wanted.authority.encode()).decode()
    return {
        "current-context": _NAME,
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": {"token": token}}],
    }
