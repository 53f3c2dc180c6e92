"""What the API server answers, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.cluster.status import Subject, error_of, warnings_of
from gitsync.errors import (
    ApiError,
    ClusterUnavailable,
    Conflict,
    Forbidden,
    GitsyncError,
    Gone,
    Invalid,
    KindUnknown,
    NamespaceTerminating,
    NotFound,
    QuotaExceeded,
    Unauthorized,
    WebhookUnavailable,
)

DEPLOYMENT = Subject("apply", "Deployment/default/web", ObjectKey("apps", "Deployment", "default", "web"))
SECRET = Subject("apply", "Secret/default/login", ObjectKey("", "Secret", "default", "login"))


def status(message: str, reason: str = "", *causes: dict[str, str]) -> dict[str, Any]:
    return {"kind": "Status", "message": message, "reason": reason, "details": {"name": "web", "causes": list(causes)}}


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (400, Invalid),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (405, ApiError),
        (409, Conflict),
        (410, Gone),
        (413, Invalid),
        (422, Invalid),
        (429, ClusterUnavailable),
        (500, ClusterUnavailable),
        (503, ClusterUnavailable),
    ],
)
def test_each_code_has_its_class(code: int, cls: type[GitsyncError]) -> None:
    error = error_of(DEPLOYMENT, code, status("words", "Reason"))
    assert type(error) is cls
    assert error.message.startswith("cannot apply Deployment/default/web: ")


def test_a_404_that_is_no_status_means_that_no_such_api_is_served() -> None:
    assert type(error_of(DEPLOYMENT, 404, None)) is KindUnknown


def test_a_404_that_names_no_object_means_the_same() -> None:
    body = {"kind": "Status", "reason": "NotFound", "message": "the server could not find ...", "details": {}}
    assert type(error_of(DEPLOYMENT, 404, body)) is KindUnknown


def test_causes_are_fields_with_what_is_wrong_there() -> None:
    cause = {"reason": "FieldValueInvalid", "field": "spec.replicas", "message": "Invalid value: -1: must be >= 0"}
    error = error_of(DEPLOYMENT, 422, status('Deployment.apps "web" is invalid: ...', "Invalid", cause))
    assert isinstance(error, Invalid)
    assert error.causes == (("spec.replicas", "Invalid value: -1: must be >= 0"),)
    assert error.key == DEPLOYMENT.key
    assert error.message == "cannot apply Deployment/default/web: spec.replicas: Invalid value: -1: must be >= 0"


@pytest.mark.parametrize(
    ("said", "field", "text"),
    [
        (
            "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): .spec.replicas: "
            'expected numeric (int or float), got &value.valueUnstructured{Value:"three"}',
            "spec.replicas",
            "expected numeric (int or float)",
        ),
        (
            "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): "
            '.spec.template.spec.containers[name="a"].env: duplicate entries for key [name="x"]',
            'spec.template.spec.containers[name="a"].env',
            'duplicate entries for key [name="x"]',
        ),
        (
            "failed to create typed patch object (default/web; /v1, Kind=Service): "
            '.spec.ports[port="of: the user",protocol="TCP"].port: expected numeric (int or float), got string',
            'spec.ports[port="of: the user",protocol="TCP"].port',
            "expected numeric (int or float), got string",
        ),
        (
            "failed to convert new object (/a; /v1, Kind=Secret) to proper version: unable to convert unstructured "
            "object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 0",
            "",
            "illegal base64 data at input byte 0",
        ),
    ],
)
def test_server_side_apply_s_complaint_about_a_field_is_no_failing_server(said: str, field: str, text: str) -> None:
    error = error_of(DEPLOYMENT, 500, status(said))
    assert isinstance(error, Invalid)
    assert error.causes == ((field, text),)


@pytest.mark.parametrize(
    ("code", "body"),
    [
        (
            422,
            status(
                'Secret "login" is invalid: data[a]: Invalid value: "hunter2": bad',
                "Invalid",
                {"reason": "FieldValueInvalid", "field": "data[a]", "message": 'Invalid value: "hunter2": bad'},
            ),
        ),
        (
            422,
            status(
                "",
                "Invalid",
                {"reason": "FieldValueNotSupported", "field": "type", "message": 'Unsupported value: "hunter2": a, b'},
            ),
        ),
        (400, status('Secret in version "v1" cannot be handled: json: cannot unmarshal "hunter2"', "BadRequest")),
        (
            500,
            status(
                "failed to create typed patch object (/login; /v1, Kind=Secret): .data: expected map, got &{hunter2}"
            ),
        ),
        (
            500,
            status(
                "failed to create typed patch object (/login; /v1, Kind=Secret): .data.x: expected string, got "
                '&value.valueUnstructured{Value:map[string]interface {}{"a":"hunter2"}}'
            ),
        ),
        (
            500,
            status("failed to convert new object (/login; /v1, Kind=Secret) to proper version: cannot parse: hunter2"),
        ),
        (500, status("webhook said: hunter2", "InternalError")),
    ],
)
def test_nothing_a_secret_holds_is_in_the_error(code: int, body: dict[str, Any]) -> None:
    error = error_of(SECRET, code, body)
    shown = f"{error} {error.__dict__} {error!r}"
    assert "hunter2" not in shown
    assert "Secret/default/login" in shown


def test_a_secret_whose_data_is_not_base64_is_told_so() -> None:
    said = (
        "failed to convert new object (/login; /v1, Kind=Secret) to proper version: unable to convert unstructured "
        "object to /v1, Kind=Secret: error decoding from json: illegal base64 data at input byte 0"
    )
    assert error_of(SECRET, 500, status(said)).message == "cannot apply Secret/default/login: data: not base64"


def test_what_cannot_quote_a_secret_is_shown() -> None:
    cause = {"reason": "FieldValueForbidden", "field": "data", "message": "Forbidden: field is immutable"}
    error = error_of(SECRET, 422, status("", "Invalid", cause))
    assert error.message == "cannot apply Secret/default/login: data: Forbidden: field is immutable"


def test_a_long_answer_is_cut() -> None:
    assert len(error_of(DEPLOYMENT, 400, status("x" * 100_000)).message) < 1000


def test_warnings_are_read_from_one_header_or_several() -> None:
    assert warnings_of([r'299 - "a \"b\" \\ c"', '299 kube "d", 299 - "e"', "garbage"]) == ('a "b" \\ c', "d", "e")


TERMINATING = "namespace shop is being terminated"
#: As a real API server says it.
PASSING = [
    (
        403,
        status('pods "web" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2'),
        QuotaExceeded,
        "exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2",
    ),
    (
        403,
        status('configmaps "a" is forbidden: status unknown for quota: few, resources: configmaps', "Forbidden"),
        QuotaExceeded,
        "status unknown for quota",
    ),
    (
        403,
        status(
            'configmaps "a" is forbidden: unable to create new content in namespace shop because it is being ...',
            "Forbidden",
            {"reason": "NamespaceTerminating", "message": TERMINATING, "field": "metadata.namespace"},
        ),
        NamespaceTerminating,
        TERMINATING,
    ),
    (
        500,
        status(
            'Internal error occurred: failed calling webhook "check.example": failed to call webhook: Post '
            '"https://check.shop.svc:443/?timeout=10s": service "check" not found',
            "InternalError",
        ),
        WebhookUnavailable,
        'admission webhook "check.example" does not answer: Post "https://check.shop.svc:443/?timeout=10s": service',
    ),
]


@pytest.mark.parametrize(("code", "body", "cls", "words"), PASSING)
def test_what_passes_by_itself_is_told_from_what_is_refused(
    code: int, body: dict[str, Any], cls: type[GitsyncError], words: str
) -> None:
    error = error_of(DEPLOYMENT, code, body)
    assert type(error) is cls
    assert words in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("code", "said", "cls"),
    [
        (403, 'pods "web" is forbidden: failed quota: few: must specify limits.cpu', Forbidden),
        (403, 'admission webhook "check.example" denied the request: exceeded quotas are bad', Forbidden),
        (500, "etcdserver: leader changed", ClusterUnavailable),
        (500, "etcdserver: request timed out", ClusterUnavailable),
        (500, "etcdserver: request is too large", Invalid),
    ],
)
def test_what_only_looks_alike_is_not_taken_for_it(code: int, said: str, cls: type[GitsyncError]) -> None:
    assert type(error_of(DEPLOYMENT, code, status(said))) is cls


def test_a_webhook_s_name_is_all_that_is_told_about_a_secret_it_was_to_see() -> None:
    said = 'Internal error occurred: failed calling webhook "check.example": it said hunter2'
    error = error_of(SECRET, 500, status(said, "InternalError"))
    assert error.message == 'cannot apply Secret/default/login: admission webhook "check.example" does not answer'
