"""Credentials stay out of text, registered or not, and ordinary text stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.logs import forget_secrets, redact, register_secret
from gitsync.logs.redact import MAX_SECRETS
from tests.cost import costs_below


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


def test_a_registered_value_is_replaced_in_every_spelling() -> None:
    secret = 'pa ss/"wörd\\+é'
    register_secret(secret + "\n")
    for spelling in (secret, quote(secret, safe=""), json.dumps(secret), repr(secret), f"x{secret}y"):
        assert redact(f"before {spelling} after").replace('"', "").replace("'", "").replace("x***y", "***") == (
            "before *** after"
        )


@given(st.text(min_size=4), st.text(), st.text())
def test_no_text_around_a_registered_value_saves_it(secret: str, before: str, after: str) -> None:
    forget_secrets()
    register_secret(secret)
    if secret.strip() and "*" not in secret:
        assert secret.strip() not in redact(f"{before} {secret} {after}")


def test_the_lines_of_a_private_key_are_secret_one_by_one() -> None:
    register_secret(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    assert redact("line 2 is b3BlbnNzaC1rZXktdjEAAAAABG5vbmU!") == "line 2 is ***!"


def test_empty_values_are_not_registered() -> None:
    register_secret("")
    register_secret(b"  \n")
    assert redact("text") == "text"


def test_only_so_many_values_are_remembered_the_newest() -> None:
    for number in range(MAX_SECRETS + 1):
        register_secret(f"secret-{number:05d}")
    assert redact("secret-00000 secret-01000") == "secret-00000 ***"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("clone https://ada:pw@git.example/fleet.git", "clone https://***@git.example/fleet.git"),
        ("clone https://ghp_token@git.example/x", "clone https://***@git.example/x"),
        ("https://ada:p@ss@git.example/x", "https://***@git.example/x"),
        ("https://ada:p/ss@git.example/x", "https://***@git.example/x"),
        ("ssh://git:pw@git.example/x", "ssh://git:***@git.example/x"),
        ("GET /x?private_token=abc&page=2", "GET /x?private_token=***&page=2"),
        ("{'Authorization': 'Bearer abc.def'}", "{'Authorization': ***'}"),
        ("authorization: Basic YWRhOnB3", "authorization: ***"),
        ("curl with Bearer 0123456789abcdef", "curl with Bearer ***"),
        ("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2ln", "token ***"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", "a\n***\nb"),
    ],
)
def test_what_looks_like_a_credential_is_replaced(text: str, wanted: str) -> None:
    assert redact(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@git.example/fleet.git",
        "git@git.example:fleet.git",
        "oci://registry.example/charts/redis@sha256:0123",
        "https://charts.example:8443/index.yaml@2",
        "https://git.example/a?ref=main&depth=1",
        "Basic authentication is not supported by this server",
        "unexpected token: }",
        "file:///srv/fleet.git",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    ["a://" * 16_000, "?" * 65_000, "bearer " * 9_000, "-----BEGIN " * 6_000, "authorization" * 5_000, "eyJ" * 20_000],
)
def test_hostile_text_costs_little_time(text: str) -> None:
    costs_below(1.0, lambda: redact(text))
