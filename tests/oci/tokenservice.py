"""A token service as registries have them beside: it signs what the registry (distribution, ``auth.token``) takes."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from tests.charts.certificates import Authority

ISSUER, SERVICE = "tests", "registry"


class TokenService:
    """Signs tokens for clients that have the password, and counts them. ``lifetime`` is the one that its answers
    give, in seconds."""

    def __init__(self, directory: Path, username: str, password: str) -> None:
        self._authority = Authority()
        certificate, key = self._authority.issue("token service")
        self._certificate = x509.load_pem_x509_certificate(certificate.encode())
        loaded = serialization.load_pem_private_key(key.encode(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        self._key = loaded
        self._header = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self.roots = directory / "token-roots.pem"
        self.roots.write_text(self._authority.pem)
        self.lifetime = 300
        self.given = 0

    def configuration(self, realm: str) -> dict[str, Any]:
        """The registry's ``auth.token``."""
        return {"realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self.roots)}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers a request for a token."""
        if request.headers.get("Authorization") != self._header:
            return web.Response(status=401)
        self.given += 1
        scope = request.query.get("scope", "")
        return web.json_response({"token": self.token(scope), "expires_in": self.lifetime})

    def token(self, scope: str) -> str:
        """For one repository, to pull from it."""
        kind, name, actions = scope.rsplit(":", 2) if scope.count(":") >= 2 else ("", "", "")
        access = [{"type": kind, "name": name, "actions": actions.split(",")}]
        now = int(time.time())
        claims: dict[str, Any] = {"iss": ISSUER, "aud": SERVICE, "sub": "", "access": access, "jti": str(self.given)}
        claims |= {"iat": now, "nbf": now - 10, "exp": now + 300}
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        signed = f"{_encoded(header)}.{_encoded(claims)}"
        r, s = utils.decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _encoded(data: dict[str, Any]) -> str:
    return _base64(json.dumps(data).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
