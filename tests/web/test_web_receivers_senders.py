"""How deliveries are verified: what each service sends, right and wrong."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.web.receivers.body import MAX_JSON, MAX_WEIGHT, decoded, payload
from gitsync.web.receivers.delivery import Delivery, Proved, Refusal
from gitsync.web.receivers.routes import Route, Routes, path_of
from gitsync.web.receivers.senders import SENDERS, content_of, detected, is_wanted
from gitsync.web.receivers.signatures import is_signed

TOKEN = b"t0ken"
BODY = b'{"ref": "refs/heads/main"}'
CDEVENT: dict[str, dict[str, Any]] = {
    "context": {
        "version": "0.4.1",
        "id": "271069a8-fc18-44f1-b38f-9d70a1695819",
        "source": "/event/source/123",
        "type": "dev.cdevents.change.merged.0.2.0",
        "timestamp": "2023-03-20T14:27:05.315384Z",
    },
    "subject": {"id": "mySubject123", "source": "/event/source/123", "type": "change", "content": {}},
}


def sign(body: bytes = BODY, token: bytes = TOKEN, algorithm: str = "sha256") -> str:
    return f"{algorithm}={hmac.new(token, body, algorithm).hexdigest()}"


def judge(kind: str, headers: Mapping[str, str], body: bytes = BODY, token: bytes = TOKEN) -> Proved | Refusal:
    """As a door does it: doubts first."""
    sender = SENDERS[kind]
    return sender.doubt(headers, token) or sender.judge(Delivery(headers, body), token)


def status(kind: str, headers: Mapping[str, str], body: bytes = BODY, token: bytes = TOKEN) -> int:
    """200 for what is proved, else what is answered."""
    judged = judge(kind, headers, body, token)
    return judged.status if isinstance(judged, Refusal) else 200


def proved(kind: str, headers: Mapping[str, str], body: bytes = BODY) -> Proved:
    judged = judge(kind, headers, body)
    assert isinstance(judged, Proved), judged
    return judged


def test_githubs_own_example_of_a_signature_is_right() -> None:
    """GitHub's documentation, "Validating webhook deliveries"."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret, body = b"It's a Secret to Everybody", b"Hello, World!"
    assert status("github", {"x-hub-signature-256": signature}, body, secret) == 200
    assert status("github", {"x-hub-signature-256": signature}, body + b"!", secret) == 401


#: By type: the header with the right proof.
RIGHT = {
    "github": {"x-hub-signature-256": sign()},
    "gitea": {"x-hub-signature-256": sign()},
    "bitbucket": {"x-hub-signature": sign()},
    "gitlab": {"x-gitlab-token": TOKEN.decode()},
    "generic-hmac": {"x-signature": sign()},
    "nexus": {"x-nexus-webhook-signature": sign(algorithm="sha1").partition("=")[2]},
    "harbor": {"authorization": TOKEN.decode()},
}


@pytest.mark.parametrize("kind", RIGHT)
def test_what_is_right_is_taken_and_what_is_missing_wrong_or_anothers_is_not(kind: str) -> None:
    (header, value), *_ = RIGHT[kind].items()
    assert status(kind, {header: value}) == 200
    assert status(kind, {}) == 401
    assert status(kind, {header: ""}) == 401
    assert status(kind, {header: value[:-1] + ("0" if value[-1] != "0" else "1")}) == 401
    assert status(kind, {header: value + "\udc80é"}) == 401
    assert status(kind, {header: value}, token=b"another") == 401
    assert status(kind, {header: value}, token=b"") == 401


@pytest.mark.parametrize("kind", ["github", "gitea", "bitbucket", "generic-hmac"])
def test_a_signature_is_of_this_body_by_an_algorithm_that_counts(kind: str) -> None:
    header = "x-signature" if kind == "generic-hmac" else "x-hub-signature"
    for algorithm in ("sha1", "sha256", "sha512"):
        assert status(kind, {header: sign(algorithm=algorithm)}) == 200
        assert status(kind, {header: sign(b"other", algorithm=algorithm)}) == 401
    assert status(kind, {header: sign(algorithm="md5")}) == 401
    assert status(kind, {header: sign().partition("=")[2]}) == 401
    assert status(kind, {header: f"none={sign()}"}) == 401
    assert status(kind, {header: sign(b"")}, b"") == 200


def test_the_better_signature_counts_where_there_are_two() -> None:
    wrong = {"x-hub-signature-256": sign(b"other"), "x-hub-signature": sign(algorithm="sha1")}
    assert status("github", wrong) == 401
    assert status("github", {"x-hub-signature-256": sign(algorithm="sha1")}) == 401


@given(st.binary(max_size=200), st.binary(max_size=50), st.binary(max_size=100))
def test_nothing_but_the_hmac_is_a_signature(signature: bytes, token: bytes, body: bytes) -> None:
    assert not is_signed(signature, token, body)
    assert is_signed(b"sha256=" + hmac.new(b"x" + token, body, "sha256").hexdigest().encode(), b"x" + token, body)


@pytest.mark.parametrize("kind", ["dockerhub", "quay", "acr"])
def test_registries_that_sign_nothing_have_to_send_json(kind: str) -> None:
    assert status(kind, {}) == 200
    for body in (b"", b"[]", b"no json", b"[" * 5000, b'{"a":' * 2000 + b"1" + b"}" * 2000):
        assert status(kind, {}, body) == 400
    assert status("nexus", {"x-nexus-webhook-signature": sign(b"no", algorithm="sha1")[5:]}, b"no") == 400
    assert status("generic", {}, b"") == 200


def test_a_cdevent_is_what_its_specification_says() -> None:
    event = proved("cdevents", {"ce-type": "dev.cdevents.change.merged.0.2.0"}, json.dumps(CDEVENT).encode())
    assert event.event == "dev.cdevents.change.merged.0.2.0"
    assert proved("cdevents", {}, json.dumps(CDEVENT).encode()) == event
    for part in ("context", "subject"):
        for field in CDEVENT[part]:
            if (part, field) in (("subject", "source"), ("subject", "type")):
                continue
            broken = {**CDEVENT, part: {name: value for name, value in CDEVENT[part].items() if name != field}}
            assert status("cdevents", {}, json.dumps(broken).encode()) == 400, field
    assert status("cdevents", {}, b"{}") == 400


@pytest.mark.parametrize(
    ("kind", "header", "event"),
    [
        ("github", "x-github-event", "push"),
        ("github", "x-gitea-event", "push"),
        ("gitea", "x-gitea-event", "push"),
        ("bitbucket", "x-event-key", "repo:refs_changed"),
        ("gitlab", "x-gitlab-event", "Push Hook"),
    ],
)
def test_the_event_is_what_the_sender_calls_it(kind: str, header: str, event: str) -> None:
    assert proved(kind, {**RIGHT[kind], header: event}).event == event
    assert proved(kind, RIGHT[kind]).event == ""


def test_pings_are_known() -> None:
    assert proved("github", {**RIGHT["github"], "x-github-event": "ping"}).is_ping
    assert proved("bitbucket", {**RIGHT["bitbucket"], "x-event-key": "diagnostics:ping"}).is_ping
    assert not proved("github", {**RIGHT["github"], "x-github-event": "push"}).is_ping


def test_events_are_compared_in_any_case_and_those_of_cdevents_without_their_version() -> None:
    assert is_wanted("push", ())
    assert is_wanted("push", ("ping", "Push"))
    assert not is_wanted("push", ("ping",))
    assert not is_wanted("", ("push",))
    assert is_wanted("dev.cdevents.change.merged.0.2.0", ("dev.cdevents.change.merged",))
    assert not is_wanted("dev.cdevents.change.mergedtwice.0.2.0", ("dev.cdevents.change.merged",))


def test_deliveries_are_told_apart_by_what_is_signed_or_by_the_senders_id() -> None:
    push = {**RIGHT["github"], "x-github-event": "push"}
    other = {"x-hub-signature-256": sign(b"{}"), "x-github-event": "push"}
    assert proved("github", push).identity == proved("github", {**push, "x-github-delivery": "7"}).identity
    assert proved("github", push).identity != proved("github", other, b"{}").identity
    gitlab = {**RIGHT["gitlab"], "x-gitlab-event-uuid": "1"}
    assert proved("gitlab", gitlab).identity == proved("gitlab", gitlab).identity != b""
    assert proved("gitlab", gitlab).identity != proved("gitlab", {**gitlab, "x-gitlab-event-uuid": "2"}).identity
    for kind in ("harbor", "gitlab"):  # the same again may be another
        assert proved(kind, RIGHT[kind]).identity == b""
    assert proved("quay", {}).identity == b""


def test_who_signs_is_known_by_the_header() -> None:
    assert detected({"x-hub-signature-256": "x"}) == "github"
    assert detected({"x-hub-signature": "x", "x-event-key": "repo:push"}) == "bitbucket"
    assert detected({"x-gitlab-token": "x"}) == "gitlab"
    assert detected({"x-signature": "x"}) == "generic-hmac"
    assert detected({"authorization": "x", "x-nexus-webhook-signature": "y"}) == ""


def test_a_form_holds_its_json_in_payload() -> None:
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert payload(Delivery(form, b"payload=%7B%22a%22%3A1%7D&other=1")) == b'{"a":1}'
    assert payload(Delivery(form, b"&".join([b"a=1"] * 100))) == b""
    assert payload(Delivery(form, b"\xff=1")) == b""
    assert content_of(Delivery(form, b"payload=%7B%22a%22%3A1%7D"), Proved()) == {"a": 1}
    assert content_of(Delivery({"content-type": "application/json"}, b'{"a":1}'), Proved()) == {"a": 1}
    assert content_of(Delivery({}, b'{"a":1}'), Proved()) == {}
    assert content_of(Delivery({"content-type": "application/json"}, b"no"), Proved()) is None
    assert content_of(Delivery({}, b""), Proved(content={"tag": "1"})) == {"tag": "1"}


def test_json_that_comes_to_too_much_is_not_decoded() -> None:
    many = b'{"a": [' + b"{}," * (MAX_WEIGHT // 200) + b"{}]}"
    assert len(many) < MAX_JSON
    assert decoded(many) is None
    assert decoded(b'{"a": "' + b"x" * MAX_JSON + b'"}') is None
    assert decoded(b'{"a": [{}]}') == {"a": [{}]}


async def ask(delivery: Delivery, proved: Proved) -> int:
    return 1


def test_of_a_form_that_is_too_large_nothing_is_decoded() -> None:
    body = b"payload=" + b"%7B" * (MAX_JSON // 3)
    delivery = Delivery({"content-type": "application/x-www-form-urlencoded"}, body)
    assert content_of(delivery, Proved("push", b"1")) is None


def test_a_token_may_be_any_bytes() -> None:
    assert path_of(b"\xff\x00", "n", "s") == "/hook/" + hashlib.sha256(b"\xff\x00ns").hexdigest()


def test_paths_are_those_of_flux_and_each_is_one_webhooks() -> None:
    path = path_of(b"token", "name", "namespace")
    assert path == "/hook/" + hashlib.sha256(b"tokennamenamespace").hexdigest()
    routes = Routes()
    first, second = Route("a/one", "github", ask), Route("a/two", "github", ask)
    assert routes.put("one", path, first)
    assert not routes.put("two", path, second)
    assert routes.find(path) is first
    assert routes.put("one", "/hook/else", first)
    assert routes.find(path) is None
    assert routes.put("two", path, second)
    routes.drop("two")
    assert routes.find(path) is None
    assert set(routes.doors()) == {"/hook/else"}


def test_no_text_tells_a_token() -> None:
    route = Route("a/one", "github", ask, TOKEN)
    assert TOKEN.decode() not in f"{route!r}{route.door!r}{Delivery({'x-gitlab-token': TOKEN.decode()}, TOKEN)!r}"
