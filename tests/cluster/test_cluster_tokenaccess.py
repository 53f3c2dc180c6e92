"""Another cluster by tokens of a ServiceAccount: made for it alone, renewed before they end, and never shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from gitsync.api.identity import ObjectKey
from gitsync.cluster import Cluster, KubeconfigAllowance, TokenAccess, connection
from gitsync.errors import ClusterUnavailable, KubeConfigRefused, MissingRight, ServiceAccountMissing, Unauthorized
from tests.clock import Clock
from tests.cluster.faulty import CONFIGMAPS, CORE, Answer, FaultyApi, answer, configmap, failure, group

KEY = ObjectKey("", "ConfigMap", "default", "a")
PATH = f"{CONFIGMAPS}/a"
TOKEN = "/api/v1/namespaces/apps/serviceaccounts/deployer/token"
HTTP = KubeconfigAllowance(insecure_tls=True)


@pytest.fixture(autouse=True)
def accounts(api: FaultyApi) -> None:
    """The server knows ServiceAccounts, too."""
    kinds = [*CORE, ("ServiceAccount", "serviceaccounts")]
    api.on("GET", "/api", answer({"kind": "APIGroupDiscoveryList", "items": [group("", "v1", kinds)]}))


def described(api: FaultyApi, account: str = "deployer") -> TokenAccess:
    """The same server once more, as one that a ConfigMap describes."""
    return TokenAccess(api.url, "", ("there", "too"), ObjectKey("", "ServiceAccount", "apps", account))


def issued(token: str, seconds: int = 3600) -> Answer:
    status = {"token": token, "expirationTimestamp": "1970-01-01T00:00:00Z"}
    return answer({"kind": "TokenRequest", "spec": {"expirationSeconds": seconds}, "status": status}, 201)


def only_for(*tokens: str) -> Answer:
    async def give(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") not in [f"Bearer {token}" for token in tokens]:
            return await failure(401, "Unauthorized", "Unauthorized")(request)
        return web.json_response(configmap("a", 7))

    return give


def seen(api: FaultyApi) -> list[str]:
    return [request.headers["Authorization"].removeprefix("Bearer ") for request in api.requests("GET", PATH)]


async def test_a_token_is_asked_for_once_and_is_for_the_audiences_that_are_named(
    api: FaultyApi, cluster: Cluster
) -> None:
    api.on("POST", TOKEN, issued("first"))
    api.on("GET", PATH, only_for("first"))
    async with await cluster.other(described(api), HTTP) as there:
        await there.get(KEY)
        await there.get(KEY)
        content = json.loads(there.helm_access()["kubeconfig_content"])
    (request,) = api.requests("POST", TOKEN)
    spec: dict[str, Any] = json.loads(request.body)["spec"]
    assert spec == {"audiences": ["there", "too"], "expirationSeconds": 3600}
    assert seen(api) == ["first", "first"]
    assert content["users"][0]["user"] == {"token": "first"}, "Helm's templates look up objects as the same account"


async def test_a_token_is_renewed_before_it_ends(
    api: FaultyApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the life that the API server gave it, whatever was asked for, and whatever its clock says."""
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    api.on("POST", TOKEN, issued("first", 600), failure(500, "InternalError"), issued("second", 600))
    api.on("GET", PATH, only_for("first", "second"))
    async with await cluster.other(described(api), HTTP) as there:
        await there.get(KEY)
        clock.advance(470)
        await there.get(KEY)
        assert seen(api) == ["first", "first"]
        clock.advance(20)
        await there.get(KEY)
        await there.get(KEY)
        assert seen(api)[2:] == ["second", "second"], "also when asking for one has failed once"
        content = json.loads(there.helm_access()["kubeconfig_content"])
    assert content["users"][0]["user"] == {"token": "second"}


async def test_the_old_token_is_used_on_while_no_other_is_to_be_had(
    api: FaultyApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    forbidden = failure(403, "Forbidden", REFUSAL)
    api.on("POST", TOKEN, issued("first", 600), forbidden)
    api.on("GET", PATH, only_for("first"))
    async with await cluster.other(described(api), HTTP) as there:
        clock.advance(500)
        await there.get(KEY)
        clock.advance(2)
        api.on("GET", PATH, only_for("second"))
        with pytest.raises(MissingRight, match="serviceaccounts/token"):
            await there.get(KEY)
    assert set(seen(api)) == {"first"}


REFUSAL = (
    'serviceaccounts "deployer" is forbidden: User "system:serviceaccount:gitsync-system:gitsync" cannot create '
    'resource "serviceaccounts/token" in API group "" in the namespace "apps"'
)


async def test_what_keeps_a_token_from_being_had_is_said_with_what_to_do(api: FaultyApi, cluster: Cluster) -> None:
    api.on("POST", TOKEN, failure(404, "NotFound", "not found", details={"name": "deployer"}))
    with pytest.raises(ServiceAccountMissing, match="ServiceAccount apps/deployer does not exist"):
        await cluster.other(described(api), HTTP)
    api.on("POST", TOKEN, failure(403, "Forbidden", REFUSAL))
    with pytest.raises(MissingRight, match="let ServiceAccount gitsync-system/gitsync create serviceaccounts/token"):
        await cluster.other(described(api), HTTP)
    api.on("POST", TOKEN, issued("not-taken"))
    api.on("GET", PATH, only_for("another"))
    async with await cluster.other(described(api), HTTP) as there:
        with pytest.raises(Unauthorized) as caught:
            await there.get(KEY)
    assert "not-taken" not in repr(caught.value) + caught.value.hint


async def test_an_api_server_without_tokens_says_so(api: FaultyApi, cluster: Cluster) -> None:
    """As a sandbox is."""
    with pytest.raises(KubeConfigRefused, match="this API server gives no tokens of ServiceAccounts") as caught:
        await cluster.other(described(api), HTTP)
    assert "sandbox" in caught.value.hint


async def test_the_agents_own_token_goes_nowhere(api: FaultyApi, cluster: Cluster) -> None:
    with pytest.raises(KubeConfigRefused, match="no serviceAccountName says whose token") as caught:
        await cluster.other(described(api, account=""), HTTP)
    assert "default_kubeconfig_service_account" in caught.value.hint
    assert not api.seen
    api.on("POST", TOKEN, issued("first"))
    api.on("GET", PATH, only_for("first"))
    allowed = KubeconfigAllowance(insecure_tls=True, account="deployer")
    async with await cluster.other(described(api, account=""), allowed) as there:
        await there.get(KEY)


async def test_a_token_goes_only_to_who_can_prove_who_he_is(api: FaultyApi, cluster: Cluster) -> None:
    api.on("POST", TOKEN, issued("first"))
    with pytest.raises(KubeConfigRefused, match="is not https"):
        await cluster.other(described(api), KubeconfigAllowance())
    nobody = TokenAccess("https://127.0.0.1:1", "", ("there",), described(api).account)
    async with await cluster.other(nobody, KubeconfigAllowance()) as there:
        with pytest.raises(ClusterUnavailable):
            await there.get(KEY)
