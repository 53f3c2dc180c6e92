"""The page that an agent serves to readers."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.moving import CHART, box, finished
from tests.e2e.pages import asked, serving, words
from tests.until import ask_until


def test_readers_see_why_something_waits_and_can_do_nothing(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    agent, port = serving(new_agent, fleet)
    files = {**CHART, "fleet/waits.yaml": box(namespace, "waits", needs="missing")}
    finished(agent, fleet.commit(files, "one that waits"))

    place = f"/object/helm.toolkit.fluxcd.io/HelmRelease/{namespace}/waits"
    _, page = ask_until(lambda: asked(port, place), lambda told: told[0] == 200, "the release is on the page")
    assert "missing" in words(page)
    ask_until(lambda: words(asked(port, "/commits")[1]), lambda told: "one that waits" in told, "the commit is, too")
    assert f"{place}/suspend" not in page
    assert asked(port, f"{place}/suspend")[0] == 404
    own = {"Origin": f"http://127.0.0.1:{port}"}
    assert asked(port, f"{place}/suspend", "POST", **own)[0] in (404, 405)
    suspended = kubectl("get", "helmrelease", "waits", "-n", namespace, "-o", "jsonpath={.spec.suspend}")
    assert suspended != "true"


def test_it_answers_to_its_own_names_only_and_to_no_other_site(new_agent: NewAgent, fleet: Fleet) -> None:
    _, port = serving(new_agent, fleet, "--web-host=gitsync.example")
    ask_until(lambda: asked(port)[0], lambda code: code == 200, "the page is there")
    for host in ("gitsync.example", "GitSync.example:8443", "localhost:1234"):
        assert asked(port, Host=host)[0] == 200
    for host in ("attacker.example", "gitsync.example.attacker.example", ""):
        assert asked(port, Host=host)[0] in (400, 421)
    assert asked(port, Host="gitsync.example", Origin="https://gitsync.example")[0] == 200
    assert asked(port, Host="gitsync.example", Origin="https://attacker.example")[0] == 403


async def test_without_a_name_nobody_outside_of_the_pod_reaches_it(new_agent: NewAgent, fleet: Fleet) -> None:
    agent, port = serving(new_agent, fleet)
    await asyncio.to_thread(agent.wait_for, "gitsync started")
    outside = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in outside - {"127.0.0.1"}:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, port)


def test_a_port_that_is_taken_ends_the_start_with_its_setting(new_agent: NewAgent, fleet: Fleet) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        agent = new_agent(fleet, f"--web-port={server.getsockname()[1]}").start()
        assert agent.wait() == 1
    assert "cannot be had" in agent.log
