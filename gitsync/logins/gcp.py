"""Google's logins: an access token of the pod by the metadata server, or of a ServiceAccount by token exchange.

By the documentation of Compute Engine's metadata server, of the Security Token Service, and of IAM's
generateAccessToken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from gitsync.errors import LoginRefused, SourceUnavailable
from gitsync.http import HttpClient, Request, parse_url
from gitsync.logins.account import Account
from gitsync.logins.asking import asked, json_of, seconds_of, seconds_until, token_of, unreadable
from gitsync.logins.kept import Given
from gitsync.logs import keep_secret

_REGISTRY = re.compile(r"(?:[a-z0-9.-]{1,100}\.)?gcr\.io|[a-z0-9.-]{1,100}-docker\.pkg\.dev", re.IGNORECASE)
_USER = "oauth2accesstoken"
_FLAVOR: Mapping[str, str] = {"Metadata-Flavor": "Google"}
_METADATA = "metadata.google.internal"
_STS = "https://sts.googleapis.com/v1/token"
_IAM = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_EMAIL_ANNOTATION = "iam.gke.io/gcp-service-account"
_EMAIL = re.compile(r"[a-zA-Z0-9-]{1,100}@[a-zA-Z0-9.-]{1,100}\.gserviceaccount\.com")
_PROVIDER_ANNOTATION = "gcp.auth.fluxcd.io/workload-identity-provider"
_PROVIDER = re.compile(
    r"projects/\d{1,30}/locations/global/workloadIdentityPools/[^/\s]{1,100}/providers/[^/\s]{1,100}"
)
_WORD = re.compile(r"[a-zA-Z0-9.:-]{1,100}")
_OAUTH = "urn:ietf:params:oauth"
_SERVER, _EXCHANGE, _CREDENTIALS = "Google's metadata server", "Google's token service", "Google's IAM"
_HINT = "check the binding of Workload Identity"


def serves(host: str) -> bool:
    """Whether this is a registry of Google's: Google's login is sent to no other server."""
    return _REGISTRY.fullmatch(host) is not None


class Gcp:
    """Asks the metadata server and Google's token services. ``environment`` is that of the agent's pod."""

    def __init__(self, http: HttpClient, environment: Mapping[str, str]) -> None:
        self._http = http
        self._environment = environment

    def identity(self, account: Account) -> str:
        """The identity that an account logs in as, for the cache of logins. Raises: LoginRefused."""
        return f"{account.perhaps(_PROVIDER_ANNOTATION, _PROVIDER)} {account.perhaps(_EMAIL_ANNOTATION, _EMAIL)}"

    async def login(self, host: str, account: Account | None) -> Given:
        """A login for a registry. Raises: LoginRefused, SourceUnavailable."""
        if account is None:
            return await self._of_pod()
        given = await self._exchanged(account)
        email = account.perhaps(_EMAIL_ANNOTATION, _EMAIL)
        return await self._impersonated(email, given.password) if email else given

    async def _of_pod(self) -> Given:
        try:
            found = await json_of(self._http, self._metadata("instance/service-accounts/default/token"), _SERVER, _HINT)
        except SourceUnavailable as error:
            raise LoginRefused(
                f"nothing says who the agent is to Google: {error.message}",
                hint="the agent has to run in GKE, with Workload Identity; or name a ServiceAccount in "
                "spec.serviceAccountName, or a Secret in spec.secretRef",
            ) from None
        return _given(found, _SERVER)

    async def _exchanged(self, account: Account) -> Given:
        """STS, exchangeToken: a token of Kubernetes' for one of Google's."""
        provider = account.perhaps(_PROVIDER_ANNOTATION, _PROVIDER)
        if provider:
            wanted = audience = f"//iam.googleapis.com/{provider}"
        else:
            wanted, audience = await self._gke()
        token = await account.issue(wanted)
        keep_secret(frozenset({token}))
        form = {
            "grant_type": f"{_OAUTH}:grant-type:token-exchange",
            "audience": audience,
            "scope": _SCOPE,
            "requested_token_type": f"{_OAUTH}:token-type:access_token",
            "subject_token": token,
            "subject_token_type": f"{_OAUTH}:token-type:jwt",
        }
        url = parse_url(_STS)
        request = Request(url, url, method="POST", form=form, follows=False)
        given = _given(await json_of(self._http, request, _EXCHANGE, _HINT), _EXCHANGE)
        keep_secret(frozenset({given.password}))
        return given

    async def _impersonated(self, email: str, token: str) -> Given:
        """IAM, generateAccessToken."""
        url = parse_url(f"{_IAM}/{email}:generateAccessToken")
        request = Request(
            url,
            url,
            method="POST",
            authorization=f"Bearer {token}",
            headers={"Content-Type": "application/json"},
            body=orjson.dumps({"scope": [_SCOPE]}),
            follows=False,
        )
        found = await json_of(self._http, request, _CREDENTIALS, f"check who may impersonate {email}")
        lifetime = seconds_until(found.get("expireTime"), _CREDENTIALS)
        return Given(_USER, token_of(found, "accessToken", _CREDENTIALS), lifetime)

    async def _gke(self) -> tuple[str, str]:
        """For whom a token of a ServiceAccount of this very cluster has to be, and what Google calls that."""
        names = ("project/project-id", "instance/attributes/cluster-location", "instance/attributes/cluster-name")
        project, location, cluster = [await self._word(name) for name in names]
        pool = f"{project}.svc.id.goog"
        where = f"https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{cluster}"
        return pool, f"identitynamespace:{pool}:{where}"

    async def _word(self, name: str) -> str:
        found = (await asked(self._http, self._metadata(name), _SERVER, _HINT)).decode(errors="replace").strip()
        if not _WORD.fullmatch(found):
            raise unreadable(_SERVER)
        return found

    def _metadata(self, path: str) -> Request:
        host = self._environment.get("GCE_METADATA_HOST") or _METADATA
        url = parse_url(f"http://{host}/computeMetadata/v1/{path}")
        return Request(url, url, headers=_FLAVOR, follows=False, direct=True)


def _given(found: Mapping[str, object], who: str) -> Given:
    return Given(_USER, token_of(found, "access_token", who), seconds_of(found, "expires_in", who))
