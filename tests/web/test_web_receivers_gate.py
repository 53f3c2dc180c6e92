"""The process that takes deliveries, and what the agent does about them, over real connections."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psutil
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from gitsync.errors import RetryableError, SettingsError
from gitsync.metering import METER
from gitsync.web.receivers.body import MAX_JSON
from gitsync.web.receivers.delivery import MAX_BODY, WRONG_TOKEN, Delivery, Proved, Refusal
from gitsync.web.receivers.door import LARGE_AT_ONCE
from gitsync.web.receivers.gatekeeper import Gatekeeper, listening
from gitsync.web.receivers.handlers import Webhooks
from gitsync.web.receivers.limits import BURST
from gitsync.web.receivers.routes import Route, path_of
from gitsync.web.receivers.server import MOST_CONNECTIONS
from tests.controlplane.processes import free_ports
from tests.until import until

TOKEN = b"t0ken"
PATH = path_of(b"t0ken", "push", "apps")
BODY = b'{"after": "1"}'


def signed(body: bytes = BODY, token: bytes = TOKEN) -> dict[str, str]:
    signature = hmac.new(token, body, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={signature}", "X-GitHub-Event": "push"}


@dataclass
class Hook:
    """A webhook of type github, which notes what is asked by it."""

    session: aiohttp.ClientSession
    webhooks: Webhooks
    port: int
    asked: list[tuple[Delivery, Proved]] = field(default_factory=list)
    #: What comes of asking.
    outcome: int | Refusal | Exception = 1

    async def ask(self, delivery: Delivery, proved: Proved) -> int | Refusal:
        self.asked.append((delivery, proved))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def put(self, kind: str = "github", *, closed: str = "", events: tuple[str, ...] = ()) -> None:
        route = Route("apps/push", kind, self.ask, TOKEN, closed=closed, events=events)
        assert self.webhooks.routes.put("push", PATH, route)
        await self.webhooks.routes.publish()

    async def post(
        self, body: bytes = BODY, headers: dict[str, str] | None = None, path: str = PATH
    ) -> tuple[int, str]:
        url, sent = f"http://127.0.0.1:{self.port}{path}", signed(body) if headers is None else headers
        async with self.session.post(url, data=io.BytesIO(body), headers=sent) as answer:
            return answer.status, await answer.text()


@pytest_asyncio.fixture
async def hook() -> AsyncIterator[Hook]:
    port, webhooks = free_ports(1)[0], Webhooks()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with listening(webhooks, port), aiohttp.ClientSession(connector=connector) as session:
        await webhooks.open()
        hook = Hook(session, webhooks, port)
        await hook.put()
        yield hook


def gates() -> list[psutil.Process]:
    """The processes that take deliveries for this one."""
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # one that has ended meanwhile has none any more
            if "gitsync.web.receivers.gate" in " ".join(process.cmdline()):
                found.append(process)
    return found


async def test_a_delivery_is_passed_on_once_with_its_body_and_without_what_opens_the_webhook(hook: Hook) -> None:
    assert await hook.post(headers={**signed(), "Content-Type": "application/json"}) == (200, "asked for 1 object\n")
    assert await hook.post() == (202, "this was delivered before\n")
    ((delivery, proved),) = hook.asked
    assert (delivery.body, dict(delivery.headers)) == (BODY, {"content-type": "application/json"})
    assert (proved.event, proved.is_ping) == ("push", False)


async def test_what_is_no_delivery_is_answered_so(hook: Hook) -> None:
    assert (await hook.post(path="/hook/else"))[0] == 404
    assert (await hook.post(path="/"))[0] == 404
    assert (await hook.post(path=f"{PATH}/"))[0] == 404
    async with hook.session.get(f"http://127.0.0.1:{hook.port}{PATH}") as answer:
        assert answer.status == 405
    assert (await hook.post(headers={}))[0] == 401
    assert (await hook.post(headers=signed(token=b"else")))[0] == 401
    await hook.put(closed="this webhook is suspended")
    assert await hook.post() == (503, "this webhook is suspended\n")
    hook.webhooks.routes.drop("push")
    await hook.webhooks.routes.publish()
    assert (await hook.post())[0] == 404
    await hook.webhooks.close()
    assert (await hook.post())[0] == 503
    assert hook.asked == []


async def test_events_that_are_not_wanted_are_no_error(hook: Hook) -> None:
    await hook.put(events=("release",))
    assert await hook.post() == (200, "nothing is done for this event\n")
    assert hook.asked == []


async def test_a_delivery_that_was_cut_short_may_come_again(hook: Hook) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def ask(delivery: Delivery, proved: Proved) -> int:
        begun.set()
        await end.wait()
        return 1

    hook.webhooks.routes.put("push", PATH, Route("apps/push", "github", ask, TOKEN))
    await hook.webhooks.routes.publish()
    first = asyncio.create_task(hook.post())
    await begun.wait()
    (gate,) = gates()
    gate.kill()
    with pytest.raises(aiohttp.ClientError):
        await first
    await until(lambda: [it.pid for it in gates()] not in ([], [gate.pid]))
    end.set()
    assert (await hook.post())[0] == 200


async def test_what_could_not_be_done_may_be_delivered_again(hook: Hook) -> None:
    hook.outcome = RetryableError("the API server is away")
    with capture_logs() as lines:
        assert (await hook.post())[0] == 500
    assert [line["event"] for line in lines] == ["webhook cannot have its objects reconciled"]
    hook.outcome = Refusal(400, "no JSON")
    assert await hook.post() == (400, "no JSON\n")
    hook.outcome = 2
    assert await hook.post() == (200, "asked for 2 objects\n")
    hook.outcome = ValueError("a defect")
    assert (await hook.post(b"other"))[0] == 500


async def test_bodies_have_a_bound_whether_their_size_is_told_or_not(hook: Hook) -> None:
    async def status(headers: str, body: bytes) -> int:
        """Of what is sent as it is, and whose end nobody waits for."""
        reader, writer = await asyncio.open_connection("127.0.0.1", hook.port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: {signed(largest)['X-Hub-Signature-256']}\r\n"
        writer.write(f"{head}{headers}\r\n\r\n".encode() + body)
        said = await reader.readline()
        writer.close()
        return int(said.split()[1])

    largest = b"x" * MAX_BODY
    assert await status(f"Content-Length: {MAX_BODY}", largest) == 200
    assert await status(f"Content-Length: {MAX_BODY + 1}", b"") == 413
    chunk = b"%x\r\n" % (MAX_BODY + 1) + largest + b"x"
    assert await status("Transfer-Encoding: chunked", chunk) == 413
    assert len(hook.asked) == 1


async def test_those_who_send_slowly_keep_nobody_else_out(hook: Hook) -> None:
    async def opened(text: str) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection("127.0.0.1", hook.port)
        writer.write(text.encode())
        return writer

    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256=00\r\nContent-Length: {MAX_BODY}\r\n"
    held = [await opened(f"{head}\r\n{'x' * 100_000}") for _ in range(LARGE_AT_ONCE + 2)]
    held += [await opened(head) for _ in range(MOST_CONNECTIONS)]
    held += [await opened("") for _ in range(MOST_CONNECTIONS)]
    assert (await hook.post())[0] == 200
    for writer in held:
        writer.close()


async def test_wrong_ones_are_told_in_one_line_and_do_not_use_up_what_right_ones_may(hook: Hook) -> None:
    with capture_logs() as lines:
        wrong = signed(token=b"else")
        statuses = await asyncio.gather(*(hook.post(headers=wrong) for _ in range(100)))
        assert {status for status, _ in statuses} == {401}
        assert (await hook.post())[0] == 200
        told = [line for line in lines if line["log_level"] == "warning"]
    assert [(line["receiver"], line["count"]) for line in told] == [("apps/push", 1)]


async def test_the_same_delivery_waits_for_the_one_that_is_under_way(hook: Hook) -> None:
    """It was answered 202 at once, and nothing came of either when the first one failed."""
    begun, end = asyncio.Event(), asyncio.Event()

    async def ask(delivery: Delivery, proved: Proved) -> int:
        hook.asked.append((delivery, proved))
        if len(hook.asked) == 1:
            begun.set()
            await end.wait()
            raise RetryableError("the API server is away")
        return 1

    assert hook.webhooks.routes.put("push", PATH, Route("apps/push", "github", ask, TOKEN))
    await hook.webhooks.routes.publish()
    first = asyncio.create_task(hook.post())
    await begun.wait()
    others = [asyncio.create_task(hook.post()) for _ in range(3)]
    done, _ = await asyncio.wait(others, timeout=0.2)  # only a while shows that none is answered
    assert not done
    end.set()
    assert (await first)[0] == 500
    assert sorted(status for status, _ in await asyncio.gather(*others)) == [200, 202, 202]
    assert len(hook.asked) == 2


ISSUER = "https://issuer.example"


def token_of(issuer: str = ISSUER) -> dict[str, str]:
    """A token that says of itself whose it is, and whose signature nobody has looked at."""
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "kid": "one"}, {"iss": issuer})]
    token = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (*parts, b"a signature"))
    return {"Authorization": f"Bearer {token.decode()}"}


async def test_a_body_is_not_waited_for_before_its_token_is_judged(hook: Hook) -> None:
    """Whoever knows the path, which has no secret in it, could keep all connections for the time of a body."""
    judged: list[Delivery] = []

    async def doubt(delivery: Delivery) -> object:
        judged.append(delivery)
        return {} if len(judged) == 1 else WRONG_TOKEN

    async def judge(delivery: Delivery) -> Proved | Refusal:
        return Proved(identity=delivery.body)

    route = Route("apps/oidc", "generic-oidc", hook.ask, judge=judge, doubt=doubt, issuers=(ISSUER,))
    assert hook.webhooks.routes.put("oidc", "/hook/oidc", route)
    await hook.webhooks.routes.publish()
    assert await hook.post(headers=token_of(), path="/hook/oidc") == (200, "asked for 1 object\n")
    assert [it.body for it in judged] == [b""]
    assert hook.asked[0][0].body == BODY
    assert (await hook.post(headers=token_of("https://else.example"), path="/hook/oidc"))[0] == 401
    assert len(judged) == 1

    async def refused(_: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", hook.port)
        head = f"Host: x\r\nAuthorization: {token_of()['Authorization']}\r\nContent-Length: 1000\r\n"
        writer.write(f"POST /hook/oidc HTTP/1.1\r\n{head}\r\n".encode())
        answer = await reader.readline()
        writer.close()
        return answer

    async with asyncio.timeout(60):
        answers = await asyncio.gather(*map(refused, range(MOST_CONNECTIONS // 2)))
    assert set(answers) == {b"HTTP/1.1 401 Unauthorized\r\n"}


async def test_until_all_webhooks_are_known_whoever_comes_by_another_path_is_to_come_again(hook: Hook) -> None:
    hook.webhooks.routes.settling = True
    await hook.webhooks.routes.publish()
    url = f"http://127.0.0.1:{hook.port}/hook/else"
    async with hook.session.post(url, data=b"") as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert (await hook.post())[0] == 200
    hook.webhooks.routes.settling = False
    await hook.webhooks.routes.publish()
    assert (await hook.post(path="/hook/else"))[0] == 404


async def test_of_many_changes_at_once_the_process_hears_twice(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was sent all webhooks for each: with n of them at a start, n times n."""
    told: list[int] = []
    send = Gatekeeper._send

    def spy(self: Gatekeeper, content: Mapping[str, Any]) -> None:
        told.append(len(content.get("doors", ())))
        send(self, content)

    monkeypatch.setattr(Gatekeeper, "_send", spy)
    routes = hook.webhooks.routes

    async def put(number: int) -> None:
        path = path_of(TOKEN, str(number), "apps")
        assert routes.put(number, path, Route(f"apps/{number}", "github", hook.ask, TOKEN))
        await routes.publish()

    await asyncio.gather(*map(put, range(300)))
    assert len(told) == 2
    assert told[-1] == 301
    assert (await hook.post(path=path_of(TOKEN, "299", "apps")))[0] == 200


async def test_what_came_of_deliveries_is_counted(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[tuple[str, ...]] = Counter()
    monkeypatch.setattr(METER, "webhooks", counts)
    await hook.put(events=("push", "ping"))
    await hook.post()
    await hook.post()
    await hook.post(headers={**signed(), "X-GitHub-Event": "ping"})
    await hook.post(b"other", headers={**signed(b"other"), "X-GitHub-Event": "star"})
    hook.outcome = RetryableError("the API server is away")
    await hook.post(b"another", headers=signed(b"another"))
    for _ in range(3):
        await hook.post(headers=signed(token=b"else"))
    await hook.post(path="/hook/else")
    await hook.post(b"x" * (MAX_BODY + 1))
    expected = {
        ("apps/push", "delivered", ""): 1,
        ("apps/push", "repeated", ""): 1,
        ("apps/push", "ignored", ""): 2,
        ("apps/push", "failed", ""): 1,
        ("apps/push", "refused", "unproved"): 3,
        ("apps/push", "refused", "too_large"): 1,
        ("", "refused", "unknown"): 1,
    }
    await until(lambda: dict(counts) == expected)


async def test_more_than_a_receiver_may_take_is_put_off(hook: Hook) -> None:
    statuses = [200]
    while statuses[-1] == 200 and len(statuses) < 10 * BURST:  # on a slow machine more are taken meanwhile
        statuses.append((await hook.post(str(len(statuses)).encode()))[0])
    assert len(statuses) > BURST
    assert statuses[-1] == 429
    body = b"another"
    async with hook.session.post(f"http://127.0.0.1:{hook.port}{PATH}", data=body, headers=signed(body)) as answer:
        assert answer.status == 200 or int(answer.headers["Retry-After"]) >= 1


async def test_another_process_takes_the_place_of_one_that_ended(hook: Hook) -> None:
    (gate,) = gates()
    assert gate.nice() > 0
    gate.kill()
    await until(lambda: [it.pid for it in gates()] not in ([], [gate.pid]))
    assert (await hook.post())[0] == 200


async def test_no_process_is_left_behind_and_without_a_port_there_is_none() -> None:
    webhooks = Webhooks()
    async with listening(webhooks, 0):
        await webhooks.open()
        assert gates() == []
    port = free_ports(1)[0]
    async with listening(webhooks, port):
        await webhooks.open()
        assert len(gates()) == 1
        with pytest.raises(SettingsError, match=f"port {port} for webhooks cannot be had"):
            async with listening(Webhooks(), port):
                pass
    assert gates() == []


async def test_registries_json_of_any_shape_is_survived(hook: Hook) -> None:
    await hook.put("quay")
    for body in (b"[" * 1_000_000, b'{"a":' * 100_000, json.dumps({"a": "\ud800"}).encode(), b"\xff"):
        assert (await hook.post(body, {}))[0] in (200, 400)
    (gate,) = gates()
    heavy = [
        b'{"a":["' + b"x" * (MAX_JSON - 20) + b'"]}',
        b'{"a":[' + b"1," * 150_000 + b'1,"' + b"x" * 500_000 + b'"]}',
    ]
    heavy.append(b"x" * MAX_BODY)
    statuses = [status for status, _ in await asyncio.gather(*(hook.post(body, {}) for body in heavy * 10))]
    assert set(statuses) <= {200, 400, 429}
    assert 200 in statuses
    assert [it.pid for it in gates()] == [gate.pid]


async def sent_raw(hook: Hook, *parts: bytes, answers: int = 1) -> bytes:
    """What is answered to bytes on one connection: so many answers, or what there is when it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hook.port)
    answer = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)  # so that the parts arrive one by one
        async with asyncio.timeout(60):
            while answer.count(b"HTTP/1.") < answers and (chunk := await reader.read(4096)):
                answer += chunk
    finally:
        writer.close()
    return answer


def raw(headers: Mapping[str, str], body: bytes = BODY, version: str = "1.1") -> bytes:
    head = [f"POST {PATH} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode() + body


async def test_refusals_and_answers_follow_each_other_on_one_connection(hook: Hook) -> None:
    wrong, right = raw(signed(token=b"else")), raw(signed())
    answer = await sent_raw(hook, wrong + wrong + right + wrong, answers=4)
    assert [line for line in answer.decode().splitlines() if line.startswith("HTTP/")] == [
        "HTTP/1.1 401 Unauthorized",
        "HTTP/1.1 401 Unauthorized",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 401 Unauthorized",
    ]
    assert len(hook.asked) == 1


async def test_a_body_that_comes_in_parts_is_judged_as_a_whole(hook: Hook) -> None:
    right = raw(signed())
    for cut in (len(right) - len(BODY), len(right) - 3):
        hook.webhooks.routes.clear()
        await hook.put()
        assert b" 20" in (await sent_raw(hook, right[:cut], right[cut:]))[:16]
    assert b" 401 " in (await sent_raw(hook, *(raw(signed(token=b"else"))[: len(right) - 3], BODY[-3:])))[:16]


async def test_who_asks_for_the_end_of_the_connection_has_it_with_a_refusal(hook: Hook) -> None:
    for sent in (
        raw({**signed(token=b"else"), "Connection": "close"}),
        raw(signed(token=b"else"), version="1.0"),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", hook.port)
        writer.write(sent)
        async with asyncio.timeout(60):
            assert b" 401 " in await reader.read()
        writer.close()


async def test_who_reads_no_refusal_is_cut_off(hook: Hook) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", hook.port)
    wrong = raw(signed(token=b"else"))
    with suppress(ConnectionError):
        async with asyncio.timeout(60):
            while True:
                writer.write(wrong * 200)
                await writer.drain()
    assert writer.transport.is_closing()
    writer.close()
    assert (await hook.post())[0] == 200
