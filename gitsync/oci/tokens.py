"""Getting in: the header Authorization for a repository, by what its registry asks for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cachetools import LRUCache
from yarl import URL

from gitsync.errors import SourceError
from gitsync.http import Hints, HttpClient, Request, parse_url, redacted, refusal
from gitsync.oci.challenge import Challenge
from gitsync.oci.decoding import decoded
from gitsync.oci.lender import Lease
from gitsync.oci.repository import Repository

#: Repositories whose way in is remembered.
_KEPT = 4096
_MAX_ANSWER = 256 * 1024
_LONGEST_TOKEN = 64 * 1024
#: Seconds that a token is good for: when nobody says so (distribution's token specification), and at most.
_LIFETIME, _LONGEST_LIFETIME = 60.0, 3600.0
#: Seconds before its end that a token is not used any more: a request takes time.
_SPARE = 5.0
_TOKEN = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, repr=False)
class _Known:
    authorization: str
    until: float


class Tokens:
    """Remembers what each repository took last. ``hints`` say what to do about a refusal."""

    def __init__(self, http: HttpClient, hints: Hints, clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._hints = hints
        self._clock = clock
        self._known: LRUCache[str, _Known] = LRUCache(_KEPT)

    def known(self, repository: Repository) -> str:
        """What the repository took last, if that is still good; "" for nothing."""
        found = self._known.get(repository.id)
        return found.authorization if found is not None and found.until > self._clock() else ""

    async def answer(self, repository: Repository, challenges: Sequence[Challenge]) -> str:
        """What to send in answer to one of these, kept from now on.

        Raises: SourceError when there is nothing to answer, or the token service refuses; LoginRefused,
        SourceUnavailable.
        """
        refused = self._known.pop(repository.id, None)
        schemes = {item.scheme: item for item in reversed(challenges)}
        lender = repository.lender
        lease = await lender.lend() if lender is not None else Lease(repository.login, float("inf"))
        if lender is not None and refused is not None and refused.authorization == lease.login.basic:
            lender.forget(lease)  # it was taken back before its end
            lease = await lender.lend()
        if (bearer := schemes.get("bearer")) is not None:
            found = await self._bearer(repository, lease, bearer)
        elif "basic" in schemes and lease.login.basic:
            found = _Known(lease.login.basic, lease.until)
        else:
            raise self._nothing(repository, schemes)
        self._known[repository.id] = found
        return found.authorization

    def _nothing(self, repository: Repository, schemes: dict[str, Challenge]) -> SourceError:
        if "basic" in schemes:
            why = "a user and password are asked for, and there are none for it"
        elif schemes:
            why = "it asks for what is not supported; Basic and Bearer are"
        else:
            why = "it does not say what it asks for"
        return SourceError(f"{repository}: access refused (401): {why}", status=401, hint=self._hints.refused)

    async def _bearer(self, repository: Repository, lease: Lease, challenge: Challenge) -> _Known:
        login = lease.login
        if login.registry_token:
            return _Known(f"Bearer {login.registry_token}", float("inf"))
        realm = self._realm(repository, challenge)
        asked = {"service": challenge.get("service")}
        asked["scope"] = challenge.get("scope") or f"repository:{repository.path}:pull"
        asked = {name: value for name, value in asked.items() if value}
        connection = repository.connection
        if realm.origin() != repository.base.origin():
            connection = replace(connection, cert="", key="")  # it was given for the registry
        request = Request(realm, realm, connection, authorization=login.basic, plain=repository.insecure)
        if login.identity_token:
            form = {
                **asked,
                "grant_type": "refresh_token",
                "client_id": "gitsync",
                "refresh_token": login.identity_token,
            }
            request = replace(request, method="POST", authorization="", form=form)
        else:
            request = replace(request, url=realm.extend_query(asked))
        async with self._http.open(request) as (response, where):
            if response.status != 200:
                if response.status in (401, 403) and repository.lender is not None:
                    repository.lender.forget(lease)
                raise refusal(response, where, self._hints, f"asked for a token for {repository}")
            return self._read(repository, await self._http.content(response, where, _MAX_ANSWER))

    def _realm(self, repository: Repository, challenge: Challenge) -> URL:
        try:
            realm = parse_url(challenge.get("realm"))
        except SourceError:
            raise SourceError(
                f"{repository}: access refused (401): the registry names no token service that can be asked", status=401
            ) from None
        if realm.scheme == "http" and not repository.insecure:
            raise SourceError(
                f"{repository}: access refused (401): its token service {redacted(realm)} is asked over plain http",
                status=401,
                hint="no credentials are sent there; the registry has to name an https address",
            )
        return realm.with_user(None).with_fragment(None)

    def _read(self, repository: Repository, data: bytes) -> _Known:
        try:
            found = decoded(data)
            token = found.get("token") or found.get("access_token")
            seconds = found.get("expires_in") or _LIFETIME
        except (ValueError, AttributeError):
            token, seconds = None, _LIFETIME
        if not isinstance(token, str) or len(token) > _LONGEST_TOKEN or not _TOKEN.fullmatch(token):
            raise SourceError(f"{repository}: the registry's token service answers without a token")
        if not isinstance(seconds, int | float):
            seconds = _LIFETIME
        lifetime = min(max(float(seconds), 2 * _SPARE), _LONGEST_LIFETIME)
        return _Known(f"Bearer {token}", self._clock() + lifetime - _SPARE)
