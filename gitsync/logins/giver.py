"""Finds the login for a server, and keeps those that were issued."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

from gitsync.errors import SourceError
from gitsync.http import HttpClient
from gitsync.logins import aws, azure, gcp
from gitsync.logins.account import Account
from gitsync.logins.aws import Aws
from gitsync.logins.azure import Azure
from gitsync.logins.gcp import Gcp
from gitsync.logins.githubapp import GitHubApp
from gitsync.logins.kept import KeptLogins
from gitsync.oci import Lease, Lender

_SERVES = {"aws": aws.serves, "azure": azure.serves, "gcp": gcp.serves}
_REGISTRIES = {
    "aws": "those of ECR (ACCOUNT.dkr.ecr.REGION.amazonaws.com)",
    "azure": "those of ACR (NAME.azurecr.io)",
    "gcp": "Google's (REGION-docker.pkg.dev, gcr.io)",
}


def stranger(provider: str, host: str) -> str:
    """Why a registry must not get the login of a cloud; "" for one of that cloud's. Otherwise whoever may write a
    source could have the agent's login sent to a server of his own."""
    if _SERVES[provider](host):
        return ""
    return f"{host} is none of its registries, and would be shown its login"


class Logins:
    """Gets logins of clouds and of GitHub Apps. ``environment`` is that of the agent's pod, which says how it logs
    in to a cloud. ``default_account`` is the ServiceAccount, of a source's own namespace, by which sources log in
    that name none; "" for the agent's pod."""

    def __init__(
        self,
        http: HttpClient,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        default_account: str = "",
    ) -> None:
        self.default_account = default_account
        self._http = http
        self._azure = Azure(http, environment)
        self._clouds: dict[str, Aws | Azure | Gcp] = {
            "aws": Aws(http, environment),
            "azure": self._azure,
            "gcp": Gcp(http, environment),
        }
        self._kept = KeptLogins(clock)

    async def close(self) -> None:
        """End the requests that are under way."""
        await self._kept.close()

    def for_registry(self, provider: str, host: str, account: Account | None = None) -> Lender:
        """What issues the login for a registry: a cloud, to ``account`` or to the agent's pod. No request is made yet.

        Raises: SourceError for a registry that is none of that cloud's; LoginRefused for an account that it cannot
        know.
        """
        cloud = self._clouds[provider]
        if why := stranger(provider, host):
            raise SourceError(f"provider {provider}: {why}", hint=f"its registries are {_REGISTRIES[provider]}")
        who = _who(account, cloud.identity(account)) if account is not None else ""
        key = f"{provider} {host} {who}"
        lend = partial(self._kept.lend, key, partial(cloud.login, host, account))
        return Lender(key, lend, partial(self._kept.forget, key))

    async def for_azure_devops(self, host: str, account: Account | None = None) -> tuple[str, Lease]:
        """A token for Azure DevOps, and whose it is. Raises: SourceError, LoginRefused, SourceUnavailable."""
        if not self._azure.serves_git(host):
            raise SourceError(
                f"{host} is no host of Azure DevOps, whose login it would be shown",
                hint="use provider generic, with a secretRef",
            )
        key = f"azure git {_who(account, self._azure.identity(account)) if account is not None else ''}"
        return key, await self._kept.lend(key, partial(self._azure.git_token, account))

    async def for_app(self, app: GitHubApp) -> Lease:
        """The login of a GitHub App. Raises: LoginRefused, SourceUnavailable."""
        return await self._kept.lend(app.identity, partial(app.login, self._http))


def _who(account: Account, identity: str) -> str:
    return f"{account.namespace}/{account.name} {identity}"
