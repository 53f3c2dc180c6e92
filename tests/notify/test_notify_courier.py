"""How one Provider is brought its events: tried again, said once, bounded, and with nothing secret in what is said."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.notification import Provider
from gitsync.cel.expressions import Expressions
from gitsync.errors import Forbidden, NotFound
from gitsync.http import HttpClient
from gitsync.logins import Logins
from gitsync.logs import keeping_secrets, redact
from gitsync.metering import METER
from gitsync.notify import Notifier
from gitsync.notify.courier import Courier, Means
from gitsync.notify.outbox import Gathering
from gitsync.notify.providers import target_of
from gitsync.notify.sender import Patience
from gitsync.runtime.event import Event
from tests.charts.certificates import Authority
from tests.charts.servers import serving
from tests.logins.clouds import GitHub
from tests.notify.receiving import Receiving
from tests.notify.telling import BAD, GOOD
from tests.until import until

GROUP = "notification.toolkit.fluxcd.io"
PROVIDER, ALERT = (ObjectKey(GROUP, kind, "apps", "it") for kind in ("Provider", "Alert"))


class Secrets:
    """A cluster that has one Secret: a fault of any other kind is none of these tests'."""

    def __init__(self, data: dict[str, str]) -> None:
        self._data = data

    async def get(self, key: ObjectKey) -> Manifest:
        if key.name != "it":
            raise NotFound(f"{key} not found", status=404)
        return {"data": {name: base64.b64encode(text.encode()).decode() for name, text in self._data.items()}}


@asynccontextmanager
async def courier(kind: str, data: dict[str, str], **spec: Any) -> AsyncIterator[Courier]:
    """Of a Provider with this Secret; it is quick to try again."""
    metadata = {"name": "it", "namespace": "apps", "uid": "0c9c2e41-d2f9"}
    version = f"{GROUP}/v1beta3"
    known = {
        PROVIDER: {
            "apiVersion": version,
            "kind": "Provider",
            "metadata": metadata,
            "spec": {"type": kind, "secretRef": {"name": "it"}, **spec},
        },
        ALERT: {
            "apiVersion": version,
            "kind": "Alert",
            "metadata": metadata,
            "spec": {"providerRef": {"name": "it"}, "eventSources": [{"kind": "HelmRelease", "name": "*"}]},
        },
    }
    http, cel = HttpClient(), Expressions()
    means = Means(
        Secrets(data),  # type: ignore[arg-type]
        http,
        Logins(http),
        cel,
        known.get,
        Gathering(0.05, 0.2),
        Patience(tries=4, first=0.01, most=0.1),
    )
    found = Courier(PROVIDER, means)
    try:
        yield found
    finally:
        await found.close(5.0)
        await http.close()
        await cel.close()


def counted(result: str) -> int:
    return sum(count for key, count in METER.notifications.items() if key[:3] == ("apps", "it", result))


async def test_what_is_not_taken_for_now_is_tried_again_and_said_once() -> None:
    before = counted("sent")
    async with Receiving(answers=[(503, "secret-word"), (429, "", {"Retry-After": "0"})]).serving() as service:
        data = {"address": f"{service.url}/hook/path-that-is-secret", "token": "secret-word"}
        with capture_logs() as lines:
            async with courier("generic", data) as it:
                it.put(ALERT, GOOD, "generic")
                await until(lambda: counted("sent") > before)
    assert len(service.taken) == 3
    assert len({taken.body for taken in service.taken}) == 1
    assert [line["event"] for line in lines] == ["notifications cannot be sent", "notifications are sent again"]
    assert "***" in lines[0]["why"]
    assert not [line for line in lines if "secret-word" in str(line) or "path-that-is-secret" in str(line)]


async def test_what_a_provider_is_called_is_said_also_where_its_address_has_the_same_word() -> None:
    fields = {"type": "github", "address": "https://forge.example/acme-team/fleet-repository/Qwerty-123"}
    metadata = {"name": "fleet-repository", "namespace": "acme-team"}
    provider = Provider.parse(
        {"apiVersion": f"{GROUP}/v1beta3", "kind": "Provider", "metadata": metadata, "spec": fields}
    )
    http = HttpClient()
    try:
        with keeping_secrets():
            await target_of(Secrets({}), Logins(http), provider)  # type: ignore[arg-type]
            said = redact("provider=acme-team/fleet-repository of Qwerty-123")
    finally:
        await http.close()
    assert said == "provider=acme-team/fleet-repository of ***"


async def test_an_answer_that_quotes_a_part_of_the_address_tells_none_of_it() -> None:
    before = counted("refused")
    said = "ann no: AbCdEfGhIjKl, s3cr3t-query and pa55word of /api/webhooks/AbCdEfGhIjKl are unknown; 0123key is not"
    async with Receiving(usual=(404, said)).serving() as service:
        host = service.url.removeprefix("http://")
        address = f"http://ann:pa55word@{host}/api/webhooks/AbCdEfGhIjKl/slack?token=s3cr3t-query"
        with capture_logs() as lines:
            async with courier("generic", {"address": address}) as it:
                it.put(ALERT, GOOD, "generic")
                await until(lambda: counted("refused") == before + 1)
    told = str(lines)
    assert "are unknown" in told
    assert not [secret for secret in ("AbCdEfGhIjKl", "s3cr3t-query", "pa55word") if secret in told]


async def test_the_status_of_a_commit_is_said_by_a_github_app(tmp_path: Path) -> None:
    github, authority, before = GitHub(), Authority(), counted("sent")
    async with (
        Receiving(usual=(201, "{}")).serving() as service,
        serving(github.handle, authority.server_context(tmp_path)) as api,
    ):
        data = {
            "githubAppID": "12345",
            "githubAppInstallationID": "678",
            "githubAppPrivateKey": github.pem,
            "githubAppBaseURL": f"{api.url}/api/v3",
            "ca.crt": authority.pem,
        }
        async with courier("github", data, address=f"{service.url}/acme/fleet") as it:
            it.put(ALERT, GOOD, "github")
            it.put(ALERT, BAD, "github")
            await until(lambda: counted("sent") == before + 2)
    assert {taken.headers["Authorization"] for taken in service.taken} == {f"Bearer {github.tokens[0]}"}
    assert len(github.tokens) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_what_is_refused_is_not_tried_again(status: int) -> None:
    before = counted("refused")
    async with Receiving(usual=(status, "no")).serving() as service, courier("generic", {"address": service.url}) as it:
        for notice in (GOOD, BAD):
            it.put(ALERT, notice, "generic")
        await until(lambda: counted("refused") == before + 2)
    assert len(service.taken) == 2


async def test_a_status_is_not_said_twice_in_a_row_and_again_after_another() -> None:
    async with (
        Receiving(usual=(201, "{}")).serving() as service,
        courier("github", {"address": f"{service.url}/acme/fleet", "token": "t"}) as it,
    ):
        for notice in (GOOD, replace(GOOD, at=BAD.at), BAD, GOOD):
            it.put(ALERT, notice, "github")
        await until(lambda: len(service.taken) == 3)
    assert [taken.json["state"] for taken in service.taken] == ["success", "failure", "success"]


async def test_a_provider_that_is_suspended_meanwhile_gets_nothing() -> None:
    async with Receiving().serving() as service, courier("generic", {"address": service.url}, suspend=True) as it:
        it.put(ALERT, GOOD, "generic")
    assert service.taken == []


@pytest.mark.parametrize("headers", ["- a", "Host: x", "X: [1]", "'a b': c", 'X: "a\\nb"', "{", "Content-Length: '5'"])
async def test_headers_that_would_steer_the_request_are_refused(headers: str) -> None:
    before = counted("refused")
    with capture_logs() as lines:
        async with (
            Receiving().serving() as service,
            courier("generic", {"address": service.url, "headers": headers}) as it,
        ):
            it.put(ALERT, GOOD, "generic")
            await until(lambda: counted("refused") > before)
    assert service.taken == []
    assert "headers in its Secret that cannot be used" in lines[0]["why"]


async def test_what_waits_at_the_end_is_sent_at_once() -> None:
    async with Receiving().serving() as service, courier("slack", {"address": service.url}) as it:
        for name in ("a", "b", "c"):
            it.put(ALERT, replace(GOOD, key=GOOD.key._replace(name=name)), "slack")
    (taken,) = service.taken
    assert len(taken.json["attachments"][0]["text"].splitlines()) == 3


async def test_where_the_kinds_may_not_be_read_nobody_is_notified_and_everything_goes_on() -> None:
    class Refused:
        """A watch that RBAC does not allow."""

        async def __aenter__(self) -> None:
            raise Forbidden("providers is forbidden", status=403, hint="grant it")

        async def __aexit__(self, *_: object) -> None:
            raise AssertionError("it was not entered")

    class Cluster:
        namespace = ""

        def watch(self, *_: object, **__: object) -> Refused:
            return Refused()

    notifier = Notifier(Cluster(), "gitsync/test")  # type: ignore[arg-type]
    with capture_logs() as lines:
        async with notifier.serving():
            notifier.hear({"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}, Event("Normal", "A", "b"))
    assert [(line["event"], line["why"]) for line in lines] == [
        ("notifications are not served", "providers is forbidden")
    ]


async def test_what_a_service_never_takes_is_given_up_and_counted_as_that() -> None:
    failed, refused = counted("failed"), counted("refused")
    async with Receiving(usual=(503, "no")).serving() as service, courier("generic", {"address": service.url}) as it:
        it.put(ALERT, GOOD, "generic")
        await until(lambda: counted("failed") == failed + 1)
    assert len(service.taken) == 4
    assert counted("refused") == refused
    assert METER.notifications["apps", "it", "failed", "service"] > 0
