"""What the sandbox does on its own: a real control plane takes hours to forget, or has nobody who would do it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gitsync.sandbox import Sandbox
from tests.contract.comparing import Side
from tests.contract.stories import native, settings
from tests.controlplane import binaries
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.e2e.background import Background

REMEMBERED = 10


@pytest.fixture
def forgetful(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A sandbox that knows little of what was."""
    running = Sandbox(history=REMEMBERED)
    background.run(running.__aenter__(), timeout=60)
    found = ControlPlane.from_kubeconfig(running.kubeconfig, binaries.kubectl(), tmp_path_factory.mktemp("sandbox"))
    yield found
    found.disconnect()
    background.run(running.__aexit__(None, None, None), timeout=60)


def test_what_happened_too_long_ago_is_gone(forgetful: ControlPlane) -> None:
    side = Side(forgetful, "default")
    for name in ("a", "b", "c"):
        side.create(settings(name))
    first = side.list_all(settings(), limit="1")
    version = first["metadata"]["resourceVersion"]
    for number in range(REMEMBERED + 1):
        side.patch(settings("a"), {"data": {"x": str(number)}})
    (event,) = side.watch(settings(), 1, resourceVersion=version)
    recent = side.list_all(settings(), limit="1")["metadata"]
    late = side.list_all(settings(), limit="1", **{"continue": first["metadata"]["continue"]})
    for status in (event["object"], late):
        assert (status["code"], status["reason"], status["kind"]) == (410, "Expired", "Status")
    side.patch(settings("a"), {"data": {"x": "last"}})
    (event,) = side.watch(settings(), 1, resourceVersion=recent["resourceVersion"])
    assert event["object"]["data"] == {"x": "last"}


def test_nobody_without_the_token_gets_in(forgetful: ControlPlane) -> None:
    stranger = Side(ControlPlane(forgetful.kubeconfig, forgetful.server, "guess", forgetful.ca_file), "default")
    assert stranger.list_all(settings())["code"] == 401


def test_a_load_balancer_gets_an_address(sandbox: ControlPlane) -> None:
    side = Side(sandbox, "default")
    manifest = native("v1", "Service", "outside", spec={"type": "LoadBalancer", "ports": [{"port": 80}]})
    side.create(manifest)
    found = side.until(lambda: side.get(manifest), lambda answer: bool(answer["status"]["loadBalancer"]), "an address")
    assert found["status"]["loadBalancer"]["ingress"][0]["ip"].startswith("198.51.100.")
