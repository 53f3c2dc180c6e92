"""Deliveries with the token of an issuer, which is served on loopback as OpenID Connect Discovery has it."""

from __future__ import annotations

import base64
import json
import time
import traceback
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gitsync.api.receiver import OIDCProvider
from gitsync.cel.expressions import Expressions
from gitsync.errors import GitsyncError
from gitsync.web.receivers.delivery import Delivery, Proved, Refusal
from gitsync.web.receivers.issuers import Issuers
from gitsync.web.receivers.jwt import Head, Keys, bearer, head_of
from gitsync.web.receivers.tokens import Account, Tokens

EMAIL, AUDIENCE = "pusher@project.iam.gserviceaccount.com", "https://hooks.example/hook/1"
ACCOUNT = Account(EMAIL, AUDIENCE)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def jwk_of(key: Key, name: str) -> dict[str, Any]:
    algorithm: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}


@dataclass
class Issuer:
    """Serves its keys, and signs."""

    url: str = ""
    keys: dict[str, Key] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    called: str = ""
    status: int = 200

    async def discover(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        document = {"issuer": self.called or self.url, "jwks_uri": f"{self.url}/keys"}
        return web.json_response(document, status=self.status)

    async def hand_out(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        return web.json_response({"keys": [jwk_of(key, name) for name, key in self.keys.items()]})

    def token(self, key: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
        now = time.time()
        said = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 600, "repository_owner": "us", **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.keys[key], algorithm=algorithm, headers={"kid": key})


@dataclass
class World:
    issuer: Issuer
    tokens: Tokens
    seconds: float = 0.0

    async def status(self, token: str, body: bytes = b"", **provider: Any) -> int:
        judged = await self.judge(token, body, **provider)
        return judged.status if isinstance(judged, Refusal) else 200

    async def judge(self, token: str, body: bytes = b"", **provider: Any) -> Proved | Refusal:
        validations = [{"expression": "claims.repository_owner == 'us'", "message": "wrong owner"}]
        fields = {"issuerURL": self.issuer.url, "audience": AUDIENCE, "validations": validations, **provider}
        delivery = Delivery({"authorization": f"Bearer {token}"}, body)
        return await self.tokens.of_provider(delivery, [OIDCProvider.model_validate(fields)])

    async def google(self, token: str, body: Mapping[str, Any] | bytes) -> Proved | Refusal:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.tokens.of_google(Delivery({"authorization": f"Bearer {token}"}, raw), ACCOUNT)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    issuer = Issuer(keys={"one": rsa.generate_private_key(public_exponent=65537, key_size=2048)})
    application = web.Application()
    application.router.add_get("/.well-known/openid-configuration", issuer.discover)
    application.router.add_get("/keys", issuer.hand_out)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with Expressions(forgives=True) as expressions:
        world = World(issuer, None)  # type: ignore[arg-type]
        issuers = Issuers(lambda: world.seconds)
        world.tokens = Tokens(issuers, expressions, issuer.url)
        yield world
        await issuers.close()
    await runner.cleanup()


async def test_a_token_of_the_issuer_for_us_is_taken_and_its_claims_are_known(world: World) -> None:
    judged = await world.judge(world.issuer.token())
    assert isinstance(judged, Proved)
    assert judged.claims["repository_owner"] == "us"
    world.issuer.keys["two"] = ec.generate_private_key(ec.SECP256R1())
    world.seconds += 60
    assert await world.status(world.issuer.token("two", "ES256")) == 200


async def test_every_other_token_is_refused(world: World) -> None:
    issuer = world.issuer
    good = issuer.token()
    assert await world.status(issuer.token(aud="else")) == 401
    assert await world.status(issuer.token(aud=None)) == 401
    assert await world.status(issuer.token(exp=time.time() - 60)) == 401
    assert await world.status(issuer.token(exp=None)) == 401
    assert await world.status(issuer.token(nbf=time.time() + 600)) == 401
    assert await world.status(issuer.token(iss="https://else.example")) == 401
    assert await world.status(good[:-4] + "AAAA") == 401
    assert await world.status("") == 401
    assert await world.status("a.b.c") == 401
    stranger = Issuer(issuer.url, {"one": rsa.generate_private_key(public_exponent=65537, key_size=2048)})
    assert await world.status(stranger.token()) == 401
    unsigned = jwt.encode({"iss": issuer.url, "aud": AUDIENCE, "exp": time.time() + 60}, "", algorithm="none")
    assert await world.status(unsigned) == 401
    shared = jwt.encode({"iss": issuer.url, "aud": AUDIENCE}, "x" * 40, algorithm="HS256", headers={"kid": "one"})
    assert await world.status(shared) == 401
    assert await world.status(good) == 200


async def test_validations_decide_and_tell_by_their_messages(world: World) -> None:
    variables = [
        {"name": "owner", "expression": "claims.repository_owner"},
        {"name": "allowed", "expression": "[vars.owner + '/a', vars.owner + '/b']"},
    ]
    validations = [
        {"expression": "claims.repository in vars.allowed", "message": "wrong repository"},
        {"expression": "claims.ref == 'refs/heads/main'", "message": "wrong branch"},
    ]
    more: dict[str, Any] = {"variables": variables, "validations": validations}
    assert await world.status(world.issuer.token(repository="us/b", ref="refs/heads/main"), **more) == 200
    judged = await world.judge(world.issuer.token(repository="us/c", ref="refs/heads/dev"), **more)
    assert judged == Refusal(401, "the token is not one that is wanted: wrong repository; wrong branch")
    assert await world.status(world.issuer.token(), **more) == 401  # a claim that is not there


async def test_the_audience_is_fluxs_where_none_is_named(world: World) -> None:
    assert await world.status(world.issuer.token(aud="notification-controller"), audience="") == 200
    assert await world.status(world.issuer.token(), audience="") == 401


async def test_an_issuer_is_asked_once_and_again_for_a_new_key_but_not_for_every_invented_one(world: World) -> None:
    issuer = world.issuer
    for _ in range(3):
        assert await world.status(issuer.token()) == 200
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]
    issuer.keys["new"] = issuer.keys["one"]
    stranger = Issuer(issuer.url, {"invented": issuer.keys["one"]})
    for _ in range(20):
        assert await world.status(stranger.token("invented")) == 401
    assert len(issuer.asked) == 2
    world.seconds += 31
    assert await world.status(issuer.token("new")) == 200
    assert len(issuer.asked) == 4


async def test_an_issuer_that_cannot_be_asked_is_no_fault_of_the_sender(world: World) -> None:
    world.issuer.status = 500
    assert await world.status(world.issuer.token()) == 503
    world.issuer.status = 200
    assert await world.status(world.issuer.token()) == 503
    assert len(world.issuer.asked) == 1
    world.seconds += 31
    assert await world.status(world.issuer.token()) == 200


async def test_an_issuer_that_calls_itself_another_is_none(world: World) -> None:
    world.issuer.called = "https://else.example"
    assert await world.status(world.issuer.token()) == 503


async def test_what_googles_pubsub_pushes_is_an_image(world: World) -> None:
    pushed = {"action": "INSERT", "digest": "gcr.io/p/app@sha256:1", "tag": "gcr.io/p/app:1"}
    body = {"message": {"data": base64.b64encode(json.dumps(pushed).encode()).decode(), "messageId": "1"}}
    token = world.issuer.token(email=EMAIL, email_verified=True)
    judged = await world.google(token, body)
    assert isinstance(judged, Proved)
    assert judged.content == pushed
    other = await world.google(token, {"message": {**body["message"], "messageId": "2"}})
    assert isinstance(other, Proved)
    assert other.identity != judged.identity
    claims: dict[str, Any]
    for claims in ({"email": "else"}, {"email_verified": False}, {"email": None}, {"aud": "else"}, {"iss": "else"}):
        said: dict[str, Any] = {"email": EMAIL, "email_verified": True, **claims}
        wrong = world.issuer.token(**said)
        assert getattr(await world.google(wrong, body), "status", 200) == 401, claims
    odd: Any
    for odd in (b"", b"{}", {"message": {}}, {"message": {"data": "!"}}, {"message": {"data": "bm8="}}, {"message": 1}):
        assert getattr(await world.google(token, odd), "status", 200) == 400, odd


async def test_an_issuer_that_fails_for_a_while_is_no_reason_to_refuse_keys_that_are_known(world: World) -> None:
    assert await world.status(world.issuer.token()) == 200
    world.issuer.status = 500
    world.issuer.keys["made-up"] = ec.generate_private_key(ec.SECP256R1())
    world.seconds += 60
    assert await world.status(world.issuer.token("made-up", "ES256")) == 503
    assert await world.status(world.issuer.token()) == 200


async def test_what_was_sent_while_an_issuer_fails_is_not_kept(world: World) -> None:
    world.issuer.status = 500
    issuers = world.tokens._issuers
    head = Head(world.issuer.url, "one", "RS256")
    depths = []
    for _ in range(5):
        with pytest.raises(GitsyncError) as failed:
            await issuers.keys(world.issuer.url, head)
        depths.append(len(list(traceback.walk_tb(failed.value.__traceback__))))
    assert depths[1:] == depths[1:2] * 4


@pytest.mark.parametrize("algorithm", [[], {}, None, 7, "none", "HS256"])
def test_an_algorithm_of_any_shape_is_none(algorithm: object) -> None:
    parts = ({"alg": algorithm, "kid": "one"}, {"iss": "https://issuer.example"})
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    assert head_of(f"{head}.{claims}.x") is None


def test_what_is_no_key_or_token_is_passed_over() -> None:
    assert (
        len(Keys(None)) == len(Keys({"keys": 7})) == len(Keys({"keys": [1, {}, {"kty": "RSA"}, {"use": "enc"}]})) == 0
    )
    assert bearer("bearer abc") == "abc"
    assert bearer("Basic abc") == bearer("Bearer é") == bearer("Bearer " + "x" * 9000) == ""
    assert head_of("") is None
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")
    assert head_of(f"{deep}.{deep}.x") is None
