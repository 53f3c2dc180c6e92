"""Azure's logins: a token of Microsoft Entra by a federated one (workload identity), and one of ACR by that.

By the documentation of the Microsoft identity platform (client credentials with a federated credential) and of ACR
(oauth2/exchange); variables are those that Azure's workload identity webhook sets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gitsync.errors import LoginRefused
from gitsync.http import HttpClient, Request, parse_url
from gitsync.logins.account import Account
from gitsync.logins.asking import json_of, seconds_of, seconds_until, token_of
from gitsync.logins.kept import Given
from gitsync.logins.pod import token_in
from gitsync.logs import keep_secret

_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]{1,100}\.(?P<domain>azurecr\.(?:io|cn|de|us))", re.IGNORECASE)
#: What a token is asked for: Azure's management, from which registries take it too; by the clouds of registries.
_SCOPES = {
    "azurecr.cn": "https://management.chinacloudapi.cn/.default",
    "azurecr.us": "https://management.usgovcloudapi.net/.default",
}
_SCOPE = "https://management.azure.com/.default"
#: The same of Azure DevOps, by its well-known id.
_DEVOPS_SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
_DEVOPS_HOST = re.compile(r"(?:dev\.azure\.com|[a-z0-9-]+\.visualstudio\.com)", re.IGNORECASE)
_ID = re.compile(r"[0-9A-Za-z.-]{1,100}")
_TENANT, _CLIENT = "azure.workload.identity/tenant-id", "azure.workload.identity/client-id"
#: The audience of a ServiceAccount's token.
_AUDIENCE = "api://AzureADTokenExchange"
_AUTHORITY = "https://login.microsoftonline.com"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: Whom ACR takes its own tokens from.
_USER = "00000000-0000-0000-0000-000000000000"
_HOUR = 3600.0
_ENTRA, _ACR = "Microsoft Entra", "ACR"


@dataclass(frozen=True, slots=True, repr=False)
class _Client:
    tenant: str
    id: str
    assertion: str


def serves(host: str) -> bool:
    """Whether this is a registry of ACR: ACR's login is sent to no other server."""
    return _REGISTRY.fullmatch(host) is not None


class Azure:
    """Asks Microsoft Entra and ACR. ``environment`` is that of the agent's pod."""

    def __init__(self, http: HttpClient, environment: Mapping[str, str]) -> None:
        self._http = http
        self._environment = environment

    def serves_git(self, host: str) -> bool:
        """Whether this is a host of Azure DevOps."""
        return _DEVOPS_HOST.fullmatch(host) is not None

    def identity(self, account: Account) -> str:
        """The identity that an account logs in as, for the cache of logins. Raises: LoginRefused."""
        return f"{account.annotated(_TENANT, _ID)}/{account.annotated(_CLIENT, _ID)}"

    async def login(self, host: str, account: Account | None) -> Given:
        """A login for a registry. Raises: LoginRefused, SourceUnavailable."""
        found = _REGISTRY.fullmatch(host)
        assert found is not None
        token = await self._token(account, _SCOPES.get(found["domain"].lower(), _SCOPE))
        keep_secret(frozenset({token.password}))
        url = parse_url(f"https://{host}/oauth2/exchange")
        form = {"grant_type": "access_token", "service": host, "access_token": token.password}
        request = Request(url, url, method="POST", form=form, follows=False)
        answer = await json_of(self._http, request, _ACR, "check that the identity has the role AcrPull")
        refresh = token_of(answer, "refresh_token", _ACR)
        return Given(_USER, refresh, _lifetime(refresh))

    async def git_token(self, account: Account | None) -> Given:
        """A token for Azure DevOps. Raises: LoginRefused, SourceUnavailable."""
        return await self._token(account, _DEVOPS_SCOPE)

    async def _token(self, account: Account | None, scope: str) -> Given:
        client = await (self._client_of(account) if account is not None else self._client_of_pod())
        keep_secret(frozenset({client.assertion}))
        authority = (self._environment.get("AZURE_AUTHORITY_HOST") or _AUTHORITY).rstrip("/")
        url = parse_url(f"{authority}/{client.tenant}/oauth2/v2.0/token")
        form = {
            "grant_type": "client_credentials",
            "client_id": client.id,
            "scope": scope,
            "client_assertion_type": _ASSERTION,
            "client_assertion": client.assertion,
        }
        request = Request(url, url, method="POST", form=form, follows=False)
        hint = f"check the federated credential of the client {client.id}"
        answer = await json_of(self._http, request, _ENTRA, hint)
        return Given("", token_of(answer, "access_token", _ENTRA), seconds_of(answer, "expires_in", _ENTRA))

    async def _client_of(self, account: Account) -> _Client:
        tenant, client = self.identity(account).split("/")
        return _Client(tenant, client, await account.issue(_AUDIENCE))

    async def _client_of_pod(self) -> _Client:
        known = self._environment
        tenant, client = known.get("AZURE_TENANT_ID", ""), known.get("AZURE_CLIENT_ID", "")
        if not (_ID.fullmatch(tenant) and _ID.fullmatch(client) and known.get("AZURE_FEDERATED_TOKEN_FILE")):
            raise LoginRefused(
                "nothing says who the agent is to Azure: its pod has no workload identity",
                hint="label the agent's pod azure.workload.identity/use=true, annotate its ServiceAccount, and restart "
                "the agent; or name a ServiceAccount in spec.serviceAccountName, or a Secret in spec.secretRef",
            )
        return _Client(tenant, client, await token_in(known, "AZURE_FEDERATED_TOKEN_FILE"))


def _lifetime(token: str) -> float:
    """For how many seconds a token of ACR is good: it says so itself; an hour when it does not."""
    import jwt  # whose libraries take 8 MB, for those alone who log in there

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return seconds_until(claims.get("exp"), _ACR)
    except (jwt.PyJWTError, LoginRefused):
        return _HOUR
