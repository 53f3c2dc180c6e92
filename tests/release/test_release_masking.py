"""What comes out of Secrets is kept out of the errors that quote it."""

from __future__ import annotations

import pytest

from gitsync.errors import Invalid, ReleaseError
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
    ],
)
def test_a_quoted_secret_is_masked_and_the_rest_stays(message: str, shown: str) -> None:
    assert without_secrets(ReleaseError(message, hint=message), {"hunter2", "70123"}).message == shown


def test_every_part_of_an_error_is_looked_at() -> None:
    error = Invalid('"hunter2"', status=422, causes=[("spec.a", 'Invalid value: "hunter2"')], hint="'hunter2'")
    masked = without_secrets(error, {"hunter2"})
    assert masked is error
    assert "hunter2" not in f"{masked!r} {masked} {masked.hint} {masked.causes}"


def test_without_secrets_nothing_changes() -> None:
    assert without_secrets(ReleaseError('"hunter2"'), frozenset()).message == '"hunter2"'
