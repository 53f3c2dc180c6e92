"""The page of an agent, as a browser asks for it."""

from __future__ import annotations

import re
import urllib.error
import urllib.request

from tests.controlplane.processes import free_ports
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet


def asked(port: int, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""  # nobody listens yet


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def serving(new_agent: NewAgent, fleet: Fleet, *more: str) -> tuple[AgentProcess, int]:
    port = free_ports(1)[0]
    agent = new_agent(fleet, "--path=fleet", f"--web-port={port}", *more).start()
    return agent, port
