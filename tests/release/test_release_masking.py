"""What comes out of Secrets is kept out of the errors that quote it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import Invalid, ReleaseError
from gitsync.logs import mask_secrets
from gitsync.release.masking import without_secrets


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('spec.host: Invalid value: "hunter2": must be lower case', "spec.host: Invalid value: …: must be lower case"),
        ("spec.port: Invalid value: 70123: must be below 65536", "spec.port: Invalid value: …: must be below 65536"),
        ('denied: image "registry/hunter2:1" is not allowed', "denied: image … is not allowed"),
        ('Service "demo": Duplicate value: "http"', 'Service "demo": Duplicate value: "http"'),
        ("said `ab\\\"hunter2` and 'x'", "said … and 'x'"),
        ("demo was not ready within 5s", "demo was not ready within 5s"),
        ("a template says: use hunter2, or aHVudGVyMg==", "a template says: use ***, or ***"),
    ],
)
def test_a_quoted_secret_is_masked_and_the_rest_stays(message: str, shown: str) -> None:
    assert without_secrets(ReleaseError(message, hint=message), {"hunter2", "70123"}).message == shown


def test_every_part_of_an_error_is_looked_at() -> None:
    error = Invalid('"hunter2"', status=422, causes=[("spec.a", 'Invalid value: "hunter2"')], hint="'hunter2'")
    masked = without_secrets(error, {"hunter2"})
    assert masked is error
    assert "hunter2" not in f"{masked!r} {masked} {masked.hint} {masked.causes}"


def test_a_short_secret_is_masked_in_quotations_only() -> None:
    assert without_secrets(ReleaseError("'abc' and abc"), {"abc"}).message == "… and abc"


@given(
    secret=st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=6),
    before=st.text(st.characters(exclude_categories=["Cs"])),
    after=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_no_text_shows_a_secret_or_its_base64(secret: str, before: str, after: str) -> None:
    encoded = base64.b64encode(secret.encode()).decode()
    for form in (secret, encoded, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret), quote_plus(secret)):
        assert form not in mask_secrets(f"{before}{form}{after}", {secret})
    login = base64.b64encode(f"{before}{secret}{after}".encode()).decode()
    assert "***" in mask_secrets(login, {secret})


def test_without_secrets_nothing_changes() -> None:
    assert without_secrets(ReleaseError('"hunter2"'), frozenset()).message == '"hunter2"'
