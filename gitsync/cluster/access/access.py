"""One state of our access to the API server: address, TLS, credentials."""

from __future__ import annotations

import copy
import hashlib
import socket
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import kube_config

from gitsync.errors import SettingsError

#: Shorter than the API server's own (90 s), so that we never send on a connection it is just closing.
KEEPALIVE = 60.0


class Rest(RESTClientObject):  # type: ignore[misc]  # untyped library
    """kubernetes.aio's REST client, for its TLS set-up and its session; requests are made on the session itself."""

    pool_manager: aiohttp.ClientSession | None
    _sockets: weakref.WeakSet[socket.socket]

    @property
    def connected(self) -> bool:
        """Whether a connection is open, or has yet to be closed to its end."""
        return self.pool_manager is not None and any(made.fileno() != -1 for made in self._sockets)

    def anew(self) -> Rest:
        """The same without any connection yet. The TLS context is kept: the files that it was read from are gone."""
        fresh = copy.copy(self)
        fresh.pool_manager = None
        return fresh

    def session(self) -> aiohttp.ClientSession:
        """The session, made at first use. Must be called on the loop."""
        pool: aiohttp.ClientSession | None = self.pool_manager
        if pool is None:
            pool = self.pool_manager = self._create_pool_manager()
        return pool

    def _create_pool_manager(self) -> aiohttp.ClientSession:
        # trust_env would read ~/.netrc in a thread on every request, and could replace our credentials by what it says.
        # The number of requests under way is bounded by the transport; watches stay open and must not use that up.
        self._sockets = weakref.WeakSet()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, ssl=self.ssl_context, keepalive_timeout=KEEPALIVE, socket_factory=self._socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=2**18,
        )

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.add(made)
        return made


@dataclass(frozen=True)
class Access:
    """Where to send requests, and with which credentials. ``renew_after``: in how many seconds the source should be
    asked again, None when it need not be. Two with another ``fingerprint`` cannot share connections.
    """

    host: str
    rest: Rest = field(repr=False)
    authorization: str = field(repr=False)
    renew_after: float | None
    fingerprint: str = field(repr=False)
    proxy: str | None = field(repr=False)
    server_name: str | None

    @classmethod
    def build(cls, configuration: Any, renew_after: float | None, previous: Access | None) -> Access:
        """Takes over what a loader of kubernetes.aio has set in a Configuration.

        The loaders write certificates and private keys to temporary files, known by a table that all users of the
        library share, and leave them until the process ends. They are read here and removed at once, which is safe as
        long as nothing is awaited between the loader's last step and this.
        """
        try:
            fingerprint = _fingerprint(configuration)
            same = previous is not None and previous.fingerprint == fingerprint
            rest = previous.rest if previous is not None and same else Rest(configuration)
        except (OSError, ValueError) as error:  # OpenSSL's errors are OSErrors; they name no content
            raise SettingsError(f"a certificate or key cannot be used: {error}", setting="kubeconfig") from error
        finally:
            kube_config._cleanup_temp_files()
        access = cls(
            host=configuration.host.rstrip("/"),
            rest=rest,
            # A token file mostly ends with a line end, which is not part of the token.
            authorization=(configuration.api_key.get("BearerToken") or "").strip(),
            renew_after=renew_after,
            fingerprint=fingerprint,
            proxy=configuration.proxy or _environment_proxy(configuration.host),
            server_name=configuration.tls_server_name or None,
        )
        access.check()
        return access

    def check(self) -> None:
        """Raises: SettingsError for what would make every request fail, or put a password into messages."""
        if "@" in urlsplit(self.host).netloc:
            raise SettingsError("the server's address holds a user name or password", setting="kubeconfig")
        if not self.authorization.isprintable():
            raise SettingsError("the token is not one line of text", setting="kubeconfig")
        if self.proxy and urlsplit(self.proxy).scheme not in ("http", "https"):
            scheme = urlsplit(self.proxy).scheme
            raise SettingsError(f"a {scheme} proxy is not supported, only http and https", setting="kubeconfig")


def _fingerprint(configuration: Any) -> str:
    digest = hashlib.sha256()
    names = ("ssl_ca_cert", "cert_file", "key_file")
    for part in (configuration.host, configuration.verify_ssl, configuration.tls_server_name, configuration.proxy):
        digest.update(f"{part}\0".encode())
    for path in (getattr(configuration, name) for name in names):
        digest.update(Path(path).read_bytes() + b"\0" if path else b"\0")
    return digest.hexdigest()


def _environment_proxy(host: str) -> str | None:
    """HTTPS_PROXY and NO_PROXY, as kubectl honours them."""
    url = urlsplit(host)
    if proxy_bypass(url.netloc):
        return None
    return getproxies().get(url.scheme)
