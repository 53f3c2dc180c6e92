"""The login services of clouds: what they ask for and answer, as their documentation has it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b"{}"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class CloudRegistry:
    """A registry with one artifact, by tag 1.0, for the password that was issued last. Like ECR it asks for Basic
    authentication, or like the others for a token of its own."""

    user: str
    bearer: bool = False
    layer: bytes = b"the layer"
    media_type: str = "application/x"
    passwords: list[str] = field(default_factory=list)

    @property
    def manifest(self) -> bytes:
        layer = {"mediaType": self.media_type, "digest": digest(self.layer), "size": len(self.layer)}
        return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}).encode()

    def takes(self, request: web.Request) -> bool:
        login = f"{self.user}:{self.passwords[-1] if self.passwords else ''}"
        return request.headers.get("Authorization") == "Basic " + base64.b64encode(login.encode()).decode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.bearer and request.path == "/token":
            if not self.takes(request):
                return web.Response(status=401)
            return web.json_response({"access_token": "of-the-registry", "expires_in": 300})
        if not self._is_in(request):
            challenge = f'Bearer realm="https://{request.host}/token",service="s"' if self.bearer else 'Basic realm="r"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        if "/blobs/" in request.path:
            return web.Response(body=self.layer)
        return web.Response(body=self.manifest, headers={"Content-Type": MANIFEST})

    def _is_in(self, request: web.Request) -> bool:
        if self.bearer:
            return request.headers.get("Authorization") == "Bearer of-the-registry"
        return self.takes(request)


@dataclass
class Sts:
    """AWS STS: AssumeRoleWithWebIdentity, of the Query API, unsigned; and ECR: GetAuthorizationToken, of the JSON API,
    signed with what STS has given."""

    registry: CloudRegistry
    tokens: dict[str, str]
    lifetime: float = 12 * 3600
    secret: str = "secret/of+the=role"
    session: str = "session-token-of-the-role=="
    forms: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        assert request.method == "POST"
        assert "Authorization" not in request.headers
        assert (form["Action"], form["Version"]) == ("AssumeRoleWithWebIdentity", "2011-06-15")
        assert re.fullmatch(r"[\w+=,.@-]{2,64}", form["RoleSessionName"])
        if self.tokens.get(form["RoleArn"]) != form["WebIdentityToken"]:
            error = "<Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to perform</Message>"
            text = f'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>{error}</Error></ErrorResponse>'
            return web.Response(status=403, text=text)
        return web.Response(
            text=f"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <Audience>sts.amazonaws.com</Audience>
    <Credentials>
      <SessionToken>{self.session}</SessionToken>
      <SecretAccessKey>{self.secret}</SecretAccessKey>
      <Expiration>2099-10-24T23:00:23Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>""",
            content_type="text/xml",
        )

    async def ecr(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        assert request.headers["X-Amz-Target"] == "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
        assert request.headers["Content-Type"] == "application/x-amz-json-1.1"
        if not self._is_signed(request, body):
            return web.json_response({"__type": "InvalidSignatureException", "message": "no"}, status=400)
        self.registry.passwords.append(f"ecr-password-{len(self.registry.passwords)}")
        token = base64.b64encode(f"AWS:{self.registry.passwords[-1]}".encode()).decode()
        data = {"authorizationToken": token, "expiresAt": time.time() + self.lifetime, "proxyEndpoint": "https://x"}
        return web.json_response({"authorizationData": [data]})

    def _is_signed(self, request: web.Request, body: bytes) -> bool:
        """As "Create a signed AWS API request" has it, step by step."""
        given = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=ASgeIAIOSFODNN7EXAMPLE/(\d{8})/([a-z0-9-]+)/ecr/aws4_request,"
            r"SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})",
            request.headers.get("Authorization", ""),
        )
        if given is None or "x-amz-security-token" not in given[3].split(";"):
            return False
        day, region, names, signature = given.groups()
        headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names.split(";"))
        canonical = f"POST\n/\n\n{headers}\n{names}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{day}/{region}/ecr/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{request.headers['X-Amz-Date']}\n{scope}\n{hashed}"
        key = f"AWS4{self.secret}".encode()
        for part in (day, region, "ecr", "aws4_request"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        expected = hmac.new(key, text.encode(), "sha256").hexdigest()
        return request.headers["X-Amz-Security-Token"] == self.session and hmac.compare_digest(expected, signature)


@dataclass
class Entra:
    """The Microsoft identity platform's client credentials with a federated credential, and ACR's exchange."""

    registry: CloudRegistry
    assertions: dict[tuple[str, str], str]
    scopes: list[str] = field(default_factory=list)
    #: The assertions that it was shown; whether it takes any.
    tokens: list[str] = field(default_factory=list)
    takes_any: bool = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        tenant = request.path.split("/")[1]
        assert request.path == f"/{tenant}/oauth2/v2.0/token"
        self.scopes.append(str(form["scope"]))
        self.tokens.append(str(form["client_assertion"]))
        if not self.takes_any and self.assertions.get((tenant, str(form["client_id"]))) != self.tokens[-1]:
            said = {
                "error": "invalid_client",
                "error_description": f"AADSTS700213: No match for {self.tokens[-1]}",
            }
            return web.json_response(said, status=401)
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": "entra-token"})

    async def acr(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/oauth2/exchange":
            return await self.registry.handle(request)
        form = await request.post()
        assert (form["grant_type"], form["service"]) == ("access_token", request.host)
        if form["access_token"] != "entra-token":
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        claims = {"exp": int(time.time()) + 3 * 3600, "jti": str(len(self.registry.passwords))}
        self.registry.passwords.append(jwt.encode(claims, "k" * 32, algorithm="HS256"))
        return web.json_response({"refresh_token": self.registry.passwords[-1]})


@dataclass
class Google:
    """The metadata server of a GKE cluster, the Security Token Service, and IAM Credentials."""

    registry: CloudRegistry
    subject_token: str = ""
    audiences: list[str] = field(default_factory=list)

    async def metadata(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Metadata-Flavor"] == "Google"
        words = {
            "project/project-id": "acme",
            "instance/attributes/cluster-location": "europe-west1",
            "instance/attributes/cluster-name": "prod",
        }
        path = request.path.removeprefix("/computeMetadata/v1/")
        if path in words:
            return web.Response(text=words[path])
        assert path == "instance/service-accounts/default/token"
        return web.json_response(self._given("metadata"))

    async def sts(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange"
        assert form["requested_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
        assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt"
        self.audiences.append(str(form["audience"]))
        if form["subject_token"] != self.subject_token:
            said = {"error": "invalid_grant", "error_description": "bad token " + str(form["subject_token"])}
            return web.json_response(said, status=400)
        return web.json_response(self._given("sts"))

    async def iam(self, request: web.Request) -> web.StreamResponse:
        assert await request.json() == {"scope": ["https://www.googleapis.com/auth/cloud-platform"]}
        given = self.registry.passwords[-1]
        if request.headers["Authorization"] != f"Bearer {given}":
            return web.json_response({"error": {"code": 403, "status": "PERMISSION_DENIED"}}, status=403)
        self.registry.passwords.append("of-the-service-account")
        return web.json_response({"accessToken": "of-the-service-account", "expireTime": "2099-10-02T15:01:23Z"})

    def _given(self, who: str) -> dict[str, object]:
        self.registry.passwords.append(f"{who}-token-{len(self.registry.passwords)}")
        return {"access_token": self.registry.passwords[-1], "expires_in": 3599, "token_type": "Bearer"}


@dataclass
class GitHub:
    """GitHub's API for the App 12345, which the organization or user ``acme`` has installed as 678."""

    kind: str = "orgs"
    lifetime: float = 3600
    #: Is told of each token that is given.
    on_token: Callable[[str], None] = lambda token: None
    tokens: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    @property
    def pem(self) -> str:
        """As GitHub gives an App its key."""
        form = serialization.PrivateFormat.TraditionalOpenSSL
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        assert request.headers["Accept"] == "application/vnd.github+json"
        if not self._is_app(request.headers.get("Authorization", "")):
            said = {"message": "A JSON web token could not be decoded", "status": "401"}
            return web.json_response(said, status=401)
        if request.path == f"/api/v3/{self.kind}/acme/installation":
            return web.json_response({"id": 678, "account": {"login": "acme"}})
        if (request.method, request.path) != ("POST", "/api/v3/app/installations/678/access_tokens"):
            return web.json_response({"message": "Not Found", "status": "404"}, status=404)
        self.tokens.append(f"ghs_token-of-the-installation-{len(self.tokens)}")
        self.on_token(self.tokens[-1])
        ends = (datetime.now(UTC) + timedelta(seconds=self.lifetime)).isoformat().replace("+00:00", "Z")
        return web.json_response({"token": self.tokens[-1], "expires_at": ends}, status=201)

    def _is_app(self, authorization: str) -> bool:
        try:
            token = authorization.removeprefix("Bearer ")
            claims = jwt.decode(token, self.key.public_key(), algorithms=["RS256"], options={"require": ["exp", "iat"]})
        except jwt.PyJWTError:
            return False
        return bool(claims["iss"] == "12345" and claims["exp"] - claims["iat"] <= 600)
