"""An API server made of faults: each request is answered by the next of the answers laid down for its path.

Written with aiohttp on loopback, so that connections really break, hang and stay half open.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


class FaultyApi:
    """``on`` lays down answers; the last one of a path is given again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self._counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.on("GET", "/api", answer({"kind": "APIGroupDiscoveryList", "items": [group("", "v1", CORE)]}))
        self.on("GET", "/apis", answer({"kind": "APIGroupDiscoveryList", "items": [group("apps", "v1", APPS)]}))

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, path] = list(answers)
        self._counts[method, path] = 0

    def requests(self, method: str, path: str) -> list[Seen]:
        return [seen for seen in self.seen if (seen.method, seen.path) == (method, path)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(Seen(request.method, request.path, request.query, dict(request.headers), body))
        place = request.method, request.path
        answers = self._answers.get(place)
        if answers is None:
            return web.Response(status=404, text="404 page not found\n")
        turn = self._counts[place]
        self._counts[place] += 1
        return await answers[min(turn, len(answers) - 1)](request)


CORE = [("ConfigMap", "configmaps"), ("Secret", "secrets"), ("Pod", "pods")]
APPS = [("Deployment", "deployments")]


def group(name: str, version: str, kinds: list[tuple[str, str]]) -> Json:
    """An entry of aggregated discovery, all kinds namespaced."""
    resources = [
        {
            "resource": plural,
            "responseKind": {"group": name, "version": version, "kind": kind},
            "scope": "Namespaced",
            "verbs": ["get", "list", "watch"],
        }
        for kind, plural in kinds
    ]
    return {"metadata": {"name": name}, "versions": [{"version": version, "resources": resources}]}


def configmap(name: str, version: int, uid: str = "", **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
            "managedFields": [{"manager": "someone"}],
        },
        "data": data,
    }


def a_list(*items: Json, version: int = 1, token: str = "") -> Json:
    return {
        "kind": "ConfigMapList",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": str(version)} | ({"continue": token} if token else {}),
        "items": [{key: value for key, value in item.items() if key not in ("apiVersion", "kind")} for item in items],
    }


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    async def give(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return give


def failure(
    status: int, reason: str, message: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> Answer:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status, **more}
    return answer(body, status, headers)


async def reset(request: web.Request) -> web.StreamResponse:
    """Breaks the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def hang(request: web.Request) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


def stream(*events: Json | bytes, then: str = "end", pause: float = 0.0) -> Answer:
    """Watch events, one a line; afterwards the stream may ``end``, be ``reset``, or stay open and ``hang``."""

    async def give(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n")
            await asyncio.sleep(pause)  # a slow server is the fault
        if then == "hang":
            await asyncio.Event().wait()
        if then == "reset":
            assert request.transport is not None
            request.transport.abort()
        return response

    return give


def event(kind: str, manifest: Json) -> Json:
    return {"type": kind, "object": manifest}


def bookmark(version: int) -> Json:
    return event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": str(version)}})


@asynccontextmanager
async def running_api() -> AsyncIterator[FaultyApi]:
    api = FaultyApi()
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield api
    await runner.cleanup()


def write_kubeconfig(directory: Path, server: str, user: Json | None = None, **cluster: Any) -> Path:
    """A kubeconfig of one context (JSON is YAML)."""
    path = directory / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "test", "user": user or {"token": "letmein"}}],
    }
    path.write_text(json.dumps(config))
    return path
