"""Charts and servers of attackers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.charts.servers import Server, serving
from tests.e2e.background import Background
from tests.until import until

ENDLESS = "{{ range until 30000 }}{{ range until 30000 }}{{ $x := . | toString | sha256sum }}{{ end }}{{ end }}"


#: Seconds that Kubernetes gives a pod to end.
GRACE = 30.0


def bad_chart(name: str, template: str) -> dict[str, str]:
    return {
        f"charts/{name}/Chart.yaml": f"apiVersion: v2\nname: {name}\nversion: 1.0.0\n",
        f"charts/{name}/templates/a.yaml": template,
    }


async def _silent(request: web.Request) -> web.StreamResponse:
    """A server with an index whose charts never come."""
    if not request.path.endswith("index.yaml"):
        await until(lambda: request.transport is None, timeout=3600)
    entry = {"name": "app", "version": "1.0.0", "urls": ["app-1.0.0.tgz"]}
    return web.json_response({"apiVersion": "v1", "entries": {"app": [entry]}})


@pytest.fixture
def silent(background: Background) -> Iterator[Server]:
    server = serving(_silent)
    yield background.run(server.__aenter__())
    background.run(server.__aexit__(None, None, None))
