"""GitHub's Apps: a token of an installation, by a signed statement of the App (GitHub's REST API, "Apps")."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from yarl import URL

from gitsync.errors import LoginRefused, SourceError
from gitsync.http import Connection, HttpClient, Request, parse_url
from gitsync.logins.asking import json_of, seconds_until, token_of, unreadable
from gitsync.logins.kept import Given
from gitsync.logs import keep_secret

#: The key by which a Secret is one of an App, and the others as Flux has them.
APP_ID = "githubAppID"
_INSTALLATION, _OWNER = "githubAppInstallationID", "githubAppInstallationOwner"
_PRIVATE_KEY, _BASE_URL = "githubAppPrivateKey", "githubAppBaseURL"
_API = "https://api.github.com"
_NUMBER = re.compile(r"[0-9]{1,20}")
_USER = "x-access-token"
#: Seconds that a statement is good for, less than the ten minutes that GitHub allows; and by how much our clock may be
#: ahead of GitHub's.
_GOOD_FOR, _AHEAD = 120, 60
_WHO = "GitHub"
_HEADERS: Mapping[str, str] = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


@dataclass(frozen=True, slots=True, repr=False)
class GitHubApp:
    """An App and its installation, by number or by who has it. ``api`` is where GitHub's API is, ``connection`` how it
    is reached."""

    id: str
    installation: str
    owner: str
    key: str
    api: URL
    connection: Connection

    @classmethod
    def read(cls, secret: Mapping[str, str], name: str, connection: Connection) -> GitHubApp:
        """The App that the Secret ``name`` describes. Raises: SourceError, which shows none of its content."""
        given = {key: secret.get(key, "").strip() for key in (APP_ID, _INSTALLATION, _OWNER, _PRIVATE_KEY, _BASE_URL)}

        def wrong(why: str, hint: str) -> SourceError:
            return SourceError(f"Secret '{name}' {why}", hint=hint)

        if not _NUMBER.fullmatch(given[APP_ID]):
            raise wrong(f"has {APP_ID}, which is no number", "it is in the settings of the App")
        if bool(given[_INSTALLATION]) == bool(given[_OWNER]):
            raise wrong(f"needs one of {_INSTALLATION} and {_OWNER}", "say which installation of the App it is for")
        if given[_INSTALLATION] and not _NUMBER.fullmatch(given[_INSTALLATION]):
            raise wrong(f"has {_INSTALLATION}, which is no number", f"correct it, or give {_OWNER}")
        if not given[_PRIVATE_KEY]:
            raise wrong(f"holds no {_PRIVATE_KEY}", "add the private key of the App, as PEM")
        url = parse_url(given[_BASE_URL] or _API)
        if url.scheme != "https":
            raise wrong(f"has {_BASE_URL}, which is not https", "no credentials are sent over plain http")
        api = url.with_user(None)
        return cls(given[APP_ID], given[_INSTALLATION], given[_OWNER], given[_PRIVATE_KEY], api, connection)

    @property
    def identity(self) -> str:
        """The App's name in caches; it differs with the key."""
        parts = ("github", self.id, self.installation, self.owner, str(self.api), self.key, self.connection.ca)
        return hashlib.sha256("\0".join((*parts, self.connection.proxy)).encode()).hexdigest()

    async def login(self, http: HttpClient) -> Given:
        """The token of the installation, for git and for GitHub's API. Raises: LoginRefused, SourceUnavailable."""
        statement = await asyncio.to_thread(self._statement)
        keep_secret(frozenset({statement, self.key}))
        installation = self.installation or await self._installation(http, statement)
        request = self._request(statement, f"app/installations/{installation}/access_tokens", "POST")
        hint = f"check {APP_ID}, {_INSTALLATION} and {_PRIVATE_KEY}"
        found = await json_of(http, request, _WHO, hint)
        lifetime = seconds_until(found.get("expires_at"), _WHO)
        return Given(_USER, token_of(found, "token", _WHO), lifetime)

    async def _installation(self, http: HttpClient, statement: str) -> str:
        """The installation of the App for an organization of this name, else for a user."""
        failure: LoginRefused | None = None
        for kind in ("orgs", "users"):
            path = f"{kind}/{quote(self.owner, safe='')}/installation"
            try:
                found = await json_of(http, self._request(statement, path), _WHO, f"check {_OWNER} and {APP_ID}")
            except LoginRefused as error:
                if error.status != 404:
                    raise
                failure = error
                continue
            if not _NUMBER.fullmatch(str(found.get("id"))):
                raise unreadable(_WHO)
            return str(found["id"])
        assert failure is not None
        message = f"the App {self.id} is not installed for {self.owner!r}, neither an organization nor a user"
        raise LoginRefused(message, status=404, hint=failure.hint)

    def _request(self, statement: str, path: str, method: str = "GET") -> Request:
        url = self.api.joinpath(*path.split("/"), encoded=True)
        request = Request(url, url, self.connection, method, f"Bearer {statement}", headers=_HEADERS, follows=False)
        return replace(request, body=b"") if method == "POST" else request

    def _statement(self) -> str:
        """The signed statement (JWT) by which the App says who it is."""
        import jwt  # whose libraries take 8 MB, for those alone who have such Secrets

        now = int(time.time())
        claims = {"iat": now - _AHEAD, "exp": now + _GOOD_FOR, "iss": self.id}
        try:
            return jwt.encode(claims, self.key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise LoginRefused(
                f"{_PRIVATE_KEY} is no RSA key as PEM", hint="GitHub has it made, in the App's settings"
            ) from None
