"""What each service is sent, held against what its API documents, on a server on loopback."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.notification import SERVED_TYPES
from gitsync.errors import SourceError, SourceUnavailable
from gitsync.http import HttpClient
from gitsync.notify.notice import Notice, clean
from gitsync.notify.sender import send
from gitsync.notify.services.registry import SERVICES
from gitsync.notify.target import Target
from tests.notify.receiving import Receiving, Taken
from tests.notify.telling import AT, BAD, COMMIT, GOOD, TOKEN, target


async def sent(to: Target, service: Receiving, *notices: Notice) -> list[Taken]:
    """What comes of it at the service."""
    http = HttpClient()
    try:
        for post in SERVICES[to.type].posts(to, notices):
            await send(http, to, SERVICES[to.type], post)
    finally:
        await http.close()
    return service.taken


def test_every_type_that_is_served_has_a_service() -> None:
    assert set(SERVICES) == set(SERVED_TYPES)


async def test_generic_gets_flux_s_event_with_the_commit_s_author_and_subject() -> None:
    async with Receiving().serving() as service:
        to = target("generic", service.url + "/hook?x=1", headers={"X-Own": "yes"})
        (taken,) = await sent(to, service, GOOD)
    assert (taken.method, taken.path, taken.query) == ("POST", "/hook", "x=1")
    assert taken.headers["Gotk-Component"] == "gitsync"
    assert taken.headers["X-Own"] == "yes"
    assert taken.json == {
        "involvedObject": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "name": "web",
            "namespace": "apps",
            "uid": GOOD.uid,
        },
        "severity": "info",
        "timestamp": "2026-03-01T12:30:00Z",
        "message": GOOD.message,
        "reason": "ReconciliationSucceeded",
        "metadata": {
            "env": "test",
            "summary": "a test cluster",
            "commit": COMMIT.id,
            "author": "Ann",
            "subject": "redis: persistence off",
            "kustomize.toolkit.fluxcd.io/revision": GOOD.revision,
        },
        "reportingController": "gitsync",
        "reportingInstance": "",
    }


async def test_generic_hmac_signs_the_body() -> None:
    async with Receiving().serving() as service:
        (taken,) = await sent(target("generic-hmac", service.url), service, GOOD)
    mac = hmac.new(TOKEN.encode(), taken.body, hashlib.sha256).hexdigest()
    assert taken.headers["X-Signature"] == f"sha256={mac}"


Check = Callable[[Taken], str]


def slack(taken: Taken) -> str:
    body = taken.json
    if taken.headers.get("Authorization") != f"Bearer {TOKEN}" or body.get("channel") != "general":
        return "not_authed"
    (attachment,) = body["attachments"]
    if re.search(r"<[!@#]", attachment["text"] + attachment["fallback"]):
        return "mention"
    wanted = ("commit 3f2a91c by Ann: redis: persistence off", "#d00000")
    return "" if (attachment["author_name"], attachment["color"]) == wanted else "invalid_attachments"


def discord(taken: Taken) -> str:
    body = taken.json
    (embed,) = body["embeds"]
    size = sum(map(len, (embed["title"], embed["description"]))) + sum(
        len(field["name"]) + len(field["value"]) for field in embed["fields"]
    )
    fits = len(embed["title"]) <= 256 and len(embed["description"]) <= 4096 and size <= 6000
    fine = fits and len(embed["fields"]) <= 25 and len(body["username"]) <= 80 and isinstance(embed["color"], int)
    return "" if fine and body["allowed_mentions"] == {"parse": []} and taken.path == "/hook" else "50035"


def msteams(taken: Taken) -> str:
    (attachment,) = taken.json["attachments"]
    content = attachment["content"]
    fine = attachment["contentType"] == "application/vnd.microsoft.card.adaptive" and content["type"] == "AdaptiveCard"
    kinds = {block["type"] for block in content["body"]}
    return "" if fine and kinds <= {"TextBlock", "FactSet"} and len(taken.body) < 28_000 else "bad card"


def googlechat(taken: Taken) -> str:
    (card,) = taken.json["cardsV2"]
    (section,) = card["card"]["sections"]
    text = section["widgets"][0]["textParagraph"]["text"]
    return "" if card["card"]["header"]["title"] and "<!" not in text and len(taken.body) < 32_000 else "INVALID"


def telegram(taken: Taken) -> str:
    body = taken.json
    fine = taken.path == f"/bot{TOKEN}/sendMessage" and body["chat_id"] == "general"
    return "" if fine and 0 < len(body["text"].encode("utf-16-le")) // 2 <= 4096 else "Bad Request"


def matrix(taken: Taken) -> str:
    path = re.fullmatch(r"/_matrix/client/v3/rooms/general/send/m\.room\.message/[0-9a-f]+", taken.path)
    fine = taken.method == "PUT" and path and taken.headers["Authorization"] == f"Bearer {TOKEN}"
    return "" if fine and taken.json["msgtype"] == "m.text" and taken.json["body"] else "M_UNKNOWN"


def grafana(taken: Taken) -> str:
    body = taken.json
    fine = body["time"] == int(AT.timestamp() * 1000) and {"flux", "kind: Kustomization", "author: Ann"} <= {
        *body["tags"]
    }
    return "" if fine and taken.headers["Authorization"] == f"Bearer {TOKEN}" and body["text"] else "bad request data"


def pagerduty(taken: Taken) -> str:
    body = taken.json
    payload = body["payload"]
    fine = taken.path == "/v2/enqueue" and body["routing_key"] == "general" and body["event_action"] == "trigger"
    fine = fine and len(payload["summary"]) <= 1024 and payload["severity"] in ("critical", "error", "warning", "info")
    return "" if fine and payload["source"] and body["dedup_key"] == GOOD.uid else "invalid event"


def opsgenie(taken: Taken) -> str:
    body = taken.json
    fine = taken.headers["Authorization"] == f"GenieKey {TOKEN}" and 0 < len(body["message"]) <= 130
    return "" if fine and len(body["description"]) <= 15000 and body["details"]["author"] == "Ann" else "422"


SERVED: dict[str, tuple[str, Check]] = {
    "slack": ("", slack),
    "discord": ("/hook/slack", discord),
    "msteams": ("/workflows/1", msteams),
    "googlechat": ("/v1/spaces/1/messages?key=k", googlechat),
    "telegram": ("", telegram),
    "matrix": ("", matrix),
    "grafana": ("/api/annotations", grafana),
    "pagerduty": ("", pagerduty),
    "opsgenie": ("/v2/alerts", opsgenie),
}


@pytest.mark.parametrize("kind", SERVED)
@pytest.mark.parametrize("many", [False, True])
async def test_what_a_service_documents_is_what_it_gets(kind: str, many: bool) -> None:
    path, check = SERVED[kind]
    long = replace(BAD, message="\U0001f4a5 it failed\n" * 3000)
    async with Receiving(check=check).serving() as service:
        to = target(kind, service.url + path, channel="general")
        await sent(to, service, *([long] * 40 if many and SERVICES[kind].gathers else [long if many else BAD]))
    assert service.faults == []
    assert service.taken


async def test_what_is_well_again_resolves_its_incident_and_is_a_change() -> None:
    async with Receiving(usual=(202, "{}")).serving() as service:
        first, second = await sent(target("pagerduty", service.url, channel="key"), service, GOOD)
    assert (first.path, first.json["event_action"], first.json["dedup_key"]) == ("/v2/enqueue", "resolve", GOOD.uid)
    assert (second.path, second.json["routing_key"]) == ("/v2/change/enqueue", "key")


NAME = "kustomization/web/0c9c2e41"
STATUSES: dict[str, tuple[str, str, dict[str, str], dict[str, Any]]] = {
    "github": (
        "/acme/fleet.git",
        f"/api/v3/repos/acme/fleet/statuses/{COMMIT.id}",
        {"Authorization": f"Bearer {TOKEN}"},
        {"state": "success", "context": NAME, "description": "reconciliation succeeded"},
    ),
    "gitlab": (
        "/acme/team/fleet",
        f"/api/v4/projects/acme%2Fteam%2Ffleet/statuses/{COMMIT.id}",
        {"PRIVATE-TOKEN": TOKEN},
        {"state": "success", "name": NAME, "description": "reconciliation succeeded"},
    ),
    "gitea": (
        "/acme/fleet",
        f"/api/v1/repos/acme/fleet/statuses/{COMMIT.id}",
        {"Authorization": f"token {TOKEN}"},
        {"state": "success", "context": NAME, "description": "reconciliation succeeded"},
    ),
    "bitbucket": (
        "/acme/fleet",
        f"/2.0/repositories/acme/fleet/commit/{COMMIT.id}/statuses/build",
        {"Authorization": "Basic dDBrZW4tb2YtdGhlLXNlcnZpY2U="},
        {"state": "SUCCESSFUL", "name": NAME, "description": "reconciliation succeeded"},
    ),
    "azuredevops": (
        "/acme/proj/_git/fleet",
        f"/acme/proj/_apis/git/repositories/fleet/commits/{COMMIT.id}/statuses",
        {"Authorization": "Basic OnQwa2VuLW9mLXRoZS1zZXJ2aWNl"},
        {
            "state": "succeeded",
            "description": "reconciliation succeeded",
            "context": {"genre": "fluxcd", "name": NAME},
        },
    ),
}


@pytest.mark.parametrize("kind", STATUSES)
async def test_a_commit_has_its_status(kind: str) -> None:
    path, wanted, headers, content = STATUSES[kind]
    async with Receiving(usual=(201, "{}")).serving() as service:
        pending = replace(GOOD, reason="Progressing")
        failed = replace(BAD, message="x" * 500)
        taken = await sent(target(kind, service.url + path), service, GOOD, pending, failed)
    assert {it.path for it in taken} == {wanted}
    for name, value in headers.items():
        assert taken[0].headers[name] == value
    assert {name: taken[0].json[name] for name in content} == content
    if kind == "bitbucket":
        assert len(taken[0].json["key"]) == 40
        assert taken[0].json["url"] == f"{service.url}/acme/fleet/commits/{COMMIT.id}"
    states = [it.json["state"].lower() for it in taken]
    assert states[1] in ("pending", "inprogress")
    assert states[2] in ("failure", "failed")
    assert len(taken[2].json["description"]) == 140


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://github.com/acme/fleet", "https://api.github.com/repos/acme/fleet/statuses/"),
        ("ssh://git@github.com/acme/fleet.git", "https://api.github.com/repos/acme/fleet/statuses/"),
        ("git@github.com:acme/fleet.git", "https://api.github.com/repos/acme/fleet/statuses/"),
        ("https://git.example:8443/acme/fleet", "https://git.example:8443/api/v3/repos/acme/fleet/statuses/"),
    ],
)
def test_a_repository_is_found_by_its_address(address: str, url: str) -> None:
    (post,) = SERVICES["github"].posts(target("github", address), [GOOD])
    assert str(post.url) == url + COMMIT.id


@pytest.mark.parametrize(
    "address", ["", "acme", "ftp://git.example/a/b", "https://git.example/a/b/c", "https://x/../a/b"]
)
def test_an_address_that_names_no_repository_is_refused(address: str) -> None:
    with pytest.raises(SourceError, match="names no repository"):
        SERVICES["github"].posts(target("github", address), [GOOD])


def test_what_is_about_no_commit_gives_no_status() -> None:
    source = replace(GOOD, key=GOOD.key._replace(group="source.toolkit.fluxcd.io", kind="GitRepository"))
    unknown = replace(GOOD, revision="6.0.0@sha256:" + "a" * 20, commit=None)
    assert SERVICES["github"].posts(target("github", "https://github.com/a/b"), [source, unknown]) == []


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        ((400, '{"message": "wrong"}'), SourceError, "answered 400, wrong"),
        ((401, "who?"), SourceError, "access refused"),
        ((302, "", {"Location": "http://127.0.0.1:1/"}), SourceError, "leads elsewhere"),
        ((429, "", {"Retry-After": "7"}), SourceUnavailable, "answered 429"),
        ((500, "<html>"), SourceUnavailable, "answered 500"),
        ((200, '{"ok": false, "error": "channel_not_found"}'), SourceError, "channel_not_found"),
    ],
)
async def test_answers_are_told_without_the_address(answer: Any, error: type[Exception], says: str) -> None:
    async with Receiving(usual=answer).serving() as service:
        with pytest.raises(error, match=says) as raised:
            await sent(target("slack", f"{service.url}/services/T0/very-secret"), service, GOOD)
    assert "very-secret" not in str(raised.value)
    assert len(service.taken) == 1
    if isinstance(raised.value, SourceUnavailable) and answer[0] == 429:
        assert raised.value.retry_after == 7


@given(st.text(max_size=300), st.text(max_size=60), st.integers(1, 60))
def test_whatever_is_told_every_service_has_a_request_for_it(message: str, name: str, count: int) -> None:
    notice = replace(BAD, message=clean(message), summary=clean(name), metadata={name: message})
    for kind, service in SERVICES.items():
        address = "https://git.example/a/b" if kind != "azuredevops" else "https://git.example/a/b/_git/c"
        for post in service.posts(target(kind, address, channel="c"), [notice] * count)[:1]:
            json.loads(post.body)
