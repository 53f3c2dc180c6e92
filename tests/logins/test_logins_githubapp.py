"""Tokens of GitHub Apps, against what GitHub documents, on loopback; never against GitHub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gitsync.errors import LoginRefused, SourceError
from gitsync.http import Connection, HttpClient
from gitsync.logins import GitHubApp, Logins
from tests.charts.certificates import Authority
from tests.charts.servers import serving
from tests.clock import Clock
from tests.logins.clouds import GitHub


@dataclass
class World:
    github: GitHub
    logins: Logins
    url: str
    ca: str
    clock: Clock = field(default_factory=Clock)

    def app(self, **changes: str | None) -> GitHubApp:
        secret = {
            "githubAppID": "12345",
            "githubAppInstallationID": "678",
            "githubAppPrivateKey": self.github.pem,
            "githubAppBaseURL": f"{self.url}/api/v3",
            **changes,
        }
        return GitHubApp.read(
            {key: value for key, value in secret.items() if value is not None}, "apps/app", self.reached
        )

    @property
    def reached(self) -> Connection:
        return Connection(ca=self.ca)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    github, authority, http, clock = GitHub(), Authority(), HttpClient(), Clock()
    async with serving(github.handle, authority.server_context(tmp_path)) as server:
        yield World(github, Logins(http, {}, clock.monotonic), server.url, authority.pem, clock)
    await http.close()


async def test_the_token_of_an_installation_is_kept_until_it_ends(world: World) -> None:
    first = await world.logins.for_app(world.app())
    again = await world.logins.for_app(world.app())
    assert (first.login.username, first.login.password) == ("x-access-token", world.github.tokens[0])
    assert first == again
    world.clock.advance(3600 - 200)
    assert (await world.logins.for_app(world.app())).login.password == world.github.tokens[1]
    assert len(world.github.tokens) == 2


@pytest.mark.parametrize("kind", ["orgs", "users"])
async def test_an_installation_is_found_by_who_has_it(world: World, kind: str) -> None:
    world.github.kind = kind
    app = world.app(githubAppInstallationID=None, githubAppInstallationOwner="acme")
    assert (await world.logins.for_app(app)).login.password == world.github.tokens[0]


async def test_who_has_not_installed_it_is_named(world: World) -> None:
    app = world.app(githubAppInstallationID=None, githubAppInstallationOwner="../app")
    with pytest.raises(LoginRefused, match=r"is not installed for '../app', neither an organization nor a user"):
        await world.logins.for_app(app)
    assert all("%2F" in what or "/app/" in what for what in world.github.seen)


async def test_another_key_is_another_app(world: World) -> None:
    await world.logins.for_app(world.app())
    with pytest.raises(LoginRefused, match="GitHub gives no login \\(401") as caught:
        await world.logins.for_app(world.app(githubAppPrivateKey=GitHub().pem))
    assert "githubAppPrivateKey" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"githubAppID": "x"}, "has githubAppID, which is no number"),
        ({"githubAppInstallationID": "../x"}, "has githubAppInstallationID, which is no number"),
        ({"githubAppInstallationID": None}, "needs one of githubAppInstallationID and githubAppInstallationOwner"),
        ({"githubAppInstallationOwner": "acme"}, "needs one of"),
        ({"githubAppPrivateKey": None}, "holds no githubAppPrivateKey"),
        ({"githubAppBaseURL": "http://github.example"}, "which is not https"),
        ({"githubAppBaseURL": "file:///etc"}, "is no http"),
    ],
)
async def test_a_secret_that_is_of_no_app_says_what_is_wrong(
    world: World, changes: dict[str, str | None], words: str
) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        world.app(**changes)
    assert "PRIVATE KEY" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("key", ["no pem", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"])
async def test_a_key_that_is_none_is_said_without_it(world: World, key: str) -> None:
    with pytest.raises(LoginRefused, match="githubAppPrivateKey is no RSA key") as caught:
        await world.logins.for_app(world.app(githubAppPrivateKey=key))
    assert "AAAA" not in str(caught.value)
    assert not world.github.seen
