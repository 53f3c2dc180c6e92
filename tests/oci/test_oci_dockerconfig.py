"""Which credentials are for which registry, and what a repository's URL is."""

from __future__ import annotations

import base64
import json

import pytest

from gitsync.errors import SourceError
from gitsync.oci import DockerConfig, Repository
from gitsync.oci.repository import split_url


def config(**logins: str) -> DockerConfig:
    """``_`` in a name stands for nothing else: give keys by ``**{...}``."""
    return DockerConfig.parse(
        json.dumps({"auths": {key: {"username": user, "password": "x"} for key, user in logins.items()}}).encode()
    )


@pytest.mark.parametrize(
    ("key", "host", "name", "matches"),
    [
        ("registry.example", "registry.example", "app", True),
        ("registry.example:5000", "registry.example:5000", "app", True),
        ("registry.example", "registry.example:5000", "app", False),
        ("https://registry.example", "registry.example", "app", True),
        ("https://registry.example/v2/", "registry.example", "app", True),
        ("registry.example/team", "registry.example", "team/app", True),
        ("registry.example/team", "registry.example", "team", True),
        ("registry.example/team", "registry.example", "teamwork/app", False),
        ("*.example", "registry.example", "app", True),
        ("*.example", "eu.registry.example", "app", False),
        ("https://index.docker.io/v1/", "docker.io", "library/app", True),
        ("docker.io", "index.docker.io", "library/app", True),
        ("other.example", "registry.example", "app", False),
    ],
)
def test_a_login_is_for_the_registry_that_its_key_names(key: str, host: str, name: str, matches: bool) -> None:
    assert (config(**{key: "me"}).login(host, name) is not None) is matches


def test_the_most_specific_login_is_taken() -> None:
    found = config(**{"*.example": "star", "r.example": "host", "r.example/a": "a", "r.example/a/b": "ab"})
    names = {name: found.login("r.example", name) for name in ("x", "a/x", "a/b/x")}
    assert {name: login.username for name, login in names.items() if login} == {"x": "host", "a/x": "a", "a/b/x": "ab"}
    assert (star := found.login("s.example", "x")) is not None
    assert star.username == "star"


def test_all_forms_of_an_entry_are_read() -> None:
    auth = base64.b64encode(b"me:pass:word").decode()
    entries = {"a.example": {"auth": auth}, "b.example": {"identitytoken": "id"}, "c.example": {"registrytoken": "rt"}}
    found = DockerConfig.parse(json.dumps({"auths": entries}).encode())
    old = DockerConfig.parse(json.dumps(entries).encode(), old=True)
    assert [login.parts for login in found.logins.values()] == [login.parts for login in old.logins.values()]
    assert found.logins["a.example"].parts == ("me", "pass:word", "", "")
    assert found.logins["b.example"].identity_token == "id"
    assert found.logins["c.example"].registry_token == "rt"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"auths": []}', '{"auths": {"a": 1}}', '{"auths": {"a": {"auth": "s3cret!"}}}']
)
def test_what_is_no_docker_configuration_is_refused_without_its_content(text: str) -> None:
    with pytest.raises(SourceError, match="no docker configuration") as caught:
        DockerConfig.parse(text.encode())
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("oci://registry.example/team/app", "https://registry.example/v2/team/app/"),
        ("oci://registry.example:5000/app/", "https://registry.example:5000/v2/app/"),
        ("oci://docker.io/app", "https://registry-1.docker.io/v2/library/app/"),
        ("oci://docker.io/bitnamicharts/redis", "https://registry-1.docker.io/v2/bitnamicharts/redis/"),
        ("oci://[::1]:5000/app", "https://[::1]:5000/v2/app/"),
    ],
)
def test_a_url_leads_to_the_registrys_api(url: str, base: str) -> None:
    assert str(Repository(*split_url(url)).base) == base


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("oci://registry.example/app:1.0", "has a tag: remove ':1.0'"),
        ("oci://registry.example", "not that of a repository"),
        ("oci://registry.example/", "not that of a repository"),
        ("oci://registry.example/App", "not that of a repository"),
        ("oci://registry.example/../app", "not that of a repository"),
        ("oci://me:s3cret@registry.example/app", "not that of a repository"),
        ("oci://registry.example/app?x=s3cret", "not that of a repository"),
        ("https://registry.example/app", "not that of a repository"),
    ],
)
def test_a_url_that_is_no_repositorys_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        split_url(url)
    assert "s3cret" not in caught.value.message
