"""ECR's logins: a role by a web identity (STS AssumeRoleWithWebIdentity), its keys, and a token of ECR by them.

By the references of AWS's APIs; variables are those that AWS's SDKs know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from yarl import URL

from gitsync.errors import LoginRefused
from gitsync.http import HttpClient, Request, parse_url
from gitsync.logins.account import Account
from gitsync.logins.asking import asked, json_of, seconds_until, token_of, unreadable
from gitsync.logins.kept import Given
from gitsync.logins.pod import token_in
from gitsync.logs import keep_secret
from gitsync.s3 import Keys
from gitsync.s3.signature import signed

#: A registry of an account in a region, as AWS's credential helper has it, but nothing before or after it.
_REGISTRY = re.compile(
    r"[0-9]{12}\.dkr\.ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]{1,40})\."
    r"(?P<domain>amazonaws\.com(?:\.cn)?|amazonaws\.eu|sc2s\.sgov\.gov|c2s\.ic\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{1,30}:role/[\x21-\x7e]{1,200}")
_ROLE_ANNOTATION = "eks.amazonaws.com/role-arn"
#: The audience of a ServiceAccount's token.
_AUDIENCE = "sts.amazonaws.com"
_TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"
_JSON = "application/x-amz-json-1.1"
_KEY = re.compile(rb"<(AccessKeyId|SecretAccessKey|SessionToken)>\s*([A-Za-z0-9+/=_.-]{1,16384})\s*</\1>")
_LONGEST_SESSION = 64
_STS, _ECR, _POD = "AWS STS", "ECR", "EKS Pod Identity"


@dataclass(frozen=True, slots=True)
class _Region:
    name: str
    domain: str
    fips: bool


def serves(host: str) -> bool:
    """Whether this is a registry of ECR: ECR's login is sent to no other server."""
    return _REGISTRY.fullmatch(host) is not None


class Aws:
    """Asks STS and ECR. ``environment`` is that of the agent's pod."""

    def __init__(self, http: HttpClient, environment: Mapping[str, str]) -> None:
        self._http = http
        self._environment = environment

    def identity(self, account: Account) -> str:
        """The identity that an account logs in as, for the cache of logins. Raises: LoginRefused."""
        return account.annotated(_ROLE_ANNOTATION, _ROLE)

    async def login(self, host: str, account: Account | None) -> Given:
        """A login for a registry. Raises: LoginRefused, SourceUnavailable."""
        found = _REGISTRY.fullmatch(host)
        assert found is not None
        region = _Region(found["region"], found["domain"], bool(found["fips"]))
        keys = await (self._keys_of(account, region) if account is not None else self._keys_of_pod(region))
        keep_secret(frozenset({keys.secret, keys.session} - {""}))
        return await self._token(keys, region)

    async def _keys_of(self, account: Account, region: _Region) -> Keys:
        session = f"{account.name}.{account.namespace}.{region.name}.gitsync"
        return await self._assume(self.identity(account), session, await account.issue(_AUDIENCE), region)

    async def _keys_of_pod(self, region: _Region) -> Keys:
        """In the order of AWS's SDKs."""
        known = self._environment
        if known.get("AWS_ACCESS_KEY_ID") and known.get("AWS_SECRET_ACCESS_KEY"):
            session = known.get("AWS_SESSION_TOKEN", "")
            return Keys(known["AWS_ACCESS_KEY_ID"], known["AWS_SECRET_ACCESS_KEY"], session)
        if known.get("AWS_ROLE_ARN") and known.get("AWS_WEB_IDENTITY_TOKEN_FILE"):
            token = await token_in(known, "AWS_WEB_IDENTITY_TOKEN_FILE")
            return await self._assume(
                known["AWS_ROLE_ARN"], known.get("AWS_ROLE_SESSION_NAME", "gitsync"), token, region
            )
        if known.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") and known.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            return await self._pod_identity(known["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
        raise LoginRefused(
            "nothing says who the agent is to AWS: neither IAM Roles for Service Accounts nor EKS Pod Identity",
            hint="give the agent's ServiceAccount a role, and restart the agent; or name a ServiceAccount in "
            "spec.serviceAccountName, or a Secret in spec.secretRef",
        )

    async def _assume(self, role: str, session: str, token: str, region: _Region) -> Keys:
        """STS, AssumeRoleWithWebIdentity: unsigned, since the token identifies the caller."""
        keep_secret(frozenset({token}))
        url = self._endpoint("STS", f"https://sts{'-fips' if region.fips else ''}.{region.name}.{region.domain}")
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": session[:_LONGEST_SESSION],
            "WebIdentityToken": token,
        }
        request = Request(url, url, method="POST", form=form, follows=False)
        hint = f"check that the trust policy of {role} allows this ServiceAccount"
        found = {
            name.decode(): value.decode() for name, value in _KEY.findall(await asked(self._http, request, _STS, hint))
        }
        try:
            return Keys(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        except KeyError:
            raise unreadable(_STS) from None

    async def _pod_identity(self, address: str) -> Keys:
        """The agent of EKS Pod Identity, on this node."""
        token = await token_in(self._environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        url = parse_url(address)
        request = Request(url, url, authorization=token, follows=False, direct=True)
        found = await json_of(self._http, request, _POD, "check the association of the agent's ServiceAccount")
        return Keys(*(token_of(found, name, _POD) for name in ("AccessKeyId", "SecretAccessKey", "Token")))

    async def _token(self, keys: Keys, region: _Region) -> Given:
        """ECR, GetAuthorizationToken."""
        host = f"https://{'ecr-fips' if region.fips else 'api.ecr'}.{region.name}.{region.domain}"
        url, body = self._endpoint("ECR", host), b"{}"
        digest = hashlib.sha256(body).hexdigest()
        authorization, headers = signed("POST", url, region.name, keys, datetime.now(UTC), digest, "ecr")
        headers |= {"Content-Type": _JSON, "X-Amz-Target": _TARGET}
        request = Request(
            url, url, method="POST", authorization=authorization, headers=headers, body=body, follows=False
        )
        found = await json_of(self._http, request, _ECR, "check that the role may ecr:GetAuthorizationToken")
        try:
            data = found["authorizationData"][0]
            token = base64.b64decode(token_of(data, "authorizationToken", _ECR), validate=True).decode()
        except (KeyError, IndexError, TypeError, AttributeError, binascii.Error, UnicodeDecodeError):
            raise unreadable(_ECR) from None
        user, colon, password = token.partition(":")
        if not user or not colon or not password:
            raise unreadable(_ECR)
        return Given(user, password, seconds_until(data.get("expiresAt"), _ECR))

    def _endpoint(self, service: str, default: str) -> URL:
        """Where a service is: another one where the environment says so, as for AWS's SDKs."""
        return parse_url(f"{self._environment.get(f'AWS_ENDPOINT_URL_{service}', default).rstrip('/')}/")
