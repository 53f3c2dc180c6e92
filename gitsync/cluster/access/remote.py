"""How an object's ``spec.kubeConfig`` may describe another cluster: a kubeconfig in a Secret, or a server that takes
tokens. Plain data; ``digest`` tells two of them apart."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from gitsync.api.identity import ObjectKey


@dataclass(frozen=True, slots=True)
class KubeconfigText:
    """A kubeconfig, as a Secret holds it. Never log it."""

    text: str = field(repr=False)

    @property
    def digest(self) -> str:
        """Of all that it says."""
        return _digest(self.text)


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """A server that takes tokens of a ServiceAccount of this cluster, made for ``audiences``.

    ``server`` is a URL; ``authority`` has the PEM certificates by which the server is known, "" for those that the
    system trusts. ``account`` has an empty name where the ConfigMap that describes the server names none.
    """

    server: str
    authority: str
    audiences: tuple[str, ...]
    account: ObjectKey

    @property
    def digest(self) -> str:
        """Of all that it says."""
        return _digest(self.server, self.authority, *self.audiences, self.account.namespaced_name)


#: Another cluster.
Remote = KubeconfigText | TokenAccess


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
