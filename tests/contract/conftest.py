"""The same tests on the sandbox and on a real control plane: ``control_plane`` is each in turn."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import pytest

from gitsync.cluster import Cluster
from gitsync.sandbox import Sandbox
from tests.contract.comparing import Side, differences
from tests.controlplane import binaries
from tests.controlplane.cluster import Cli
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.controlplane.fixtures import helm_on
from tests.controlplane.world import done_with, has_service_account
from tests.e2e.background import Background
from tests.until import ask_until

#: How many changes the sandbox of the tests remembers: few, so that a test can have them forgotten.
HISTORY = 3000


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """A loop in a thread, for what serves."""
    with Background() as running:
        yield running


@pytest.fixture(scope="session")
def sandbox(background: Background, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A sandbox that runs in a thread of its own, as a Cluster."""
    running = Sandbox(delay=0.05, missing="nonexistent", history=HISTORY)
    background.run(running.__aenter__(), timeout=60)
    found = ControlPlane.from_kubeconfig(running.kubeconfig, binaries.kubectl(), tmp_path_factory.mktemp("sandbox"))
    yield found
    found.disconnect()
    background.run(running.__aexit__(None, None, None), timeout=60)


@pytest.fixture(scope="session", params=["sandbox", "real_control_plane"], ids=["sandbox", "real"])
def control_plane(request: pytest.FixtureRequest) -> ControlPlane:
    """The sandbox, and a real control plane."""
    found: ControlPlane = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Cli:
    return Cli(binaries.kubectl(), control_plane.kubeconfig)


@pytest.fixture(scope="session")
def helm_cli(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    return helm_on(control_plane, tmp_path_factory.mktemp("helm"))


@pytest.fixture
async def live(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    """gitsync's own client."""
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


#: A story, and the status codes of its answers: "201 409".
Tell = Callable[[Callable[[Side], None], str], None]


@pytest.fixture
def tell(sandbox: ControlPlane, real_control_plane: ControlPlane) -> Iterator[Tell]:
    """Tells a story to the sandbox and to a real API server, and compares their answers.

    The story says what it expects, too: a request that both refuse for another reason than it is about shows nothing.
    """
    sides = [Side(each, f"test-{uuid.uuid4().hex[:8]}") for each in (sandbox, real_control_plane)]
    for side in sides:
        side.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": side.namespace}})
    for side in sides:
        ask_until(partial(has_service_account, side.cluster, side.namespace), bool, "a namespace's service account")

    def told(story: Callable[[Side], None], codes: str) -> None:
        for side in sides:
            story(side)
        found = differences(sides[0].told, sides[1].told)
        assert not found, "\n".join(found)
        assert " ".join(map(str, sides[1].codes)) == " ".join(codes.split())

    yield told
    for side in sides:
        done_with(side.cluster, side.namespace)
