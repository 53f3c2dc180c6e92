"""An agent that serves one namespace, of a repository that has more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import Cli
from tests.docs.markdown import ROOT
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import Moved, finished, uids_when_there


@pytest.fixture
def beside(kubectl: Cli, namespace: str) -> Iterator[str]:
    """A namespace that is not served."""
    kubectl("create", "namespace", f"{namespace}-beside")
    yield f"{namespace}-beside"
    kubectl("delete", "namespace", f"{namespace}-beside", "--wait=false")


def test_what_moves_to_who_is_not_served_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, beside: str
) -> None:
    before = {
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/goes.yaml": config_map(namespace, "goes"),
        "clusters/moves.yaml": config_map(beside, "moves"),
    }
    kubectl("apply", "--server-side", "--force-conflicts", "-f", ROOT / "config/crds")  # it brings none itself
    agent = new_agent(fleet, "--path=clusters", f"--namespace={namespace}", f"--watch-namespace={namespace}")
    finished(agent.start(), fleet.commit(before, "before"))
    moved = [Moved("configmap", beside, "moves")]
    uids = uids_when_there(kubectl, moved)
    after = {
        "clusters/moves.yaml": kustomization(beside, "k", "./k"),
        "k/moves.yaml": config_map(beside, "moves"),
        "clusters/goes.yaml": None,
    }
    commit = fleet.commit(after, "to who is not served")
    finished(agent, commit)
    kubectl("wait", "--for=delete", "configmap/goes", "-n", namespace, "--timeout=110s")
    (kept,) = agent.said("object kept", commit=commit[:7])
    assert kept.fields["why"].endswith("may want it, which is not served (watch_namespace)")
    agent.stop()
    agent.arguments.remove(f"--watch-namespace={namespace}")
    agent.start()
    kubectl("wait", "--for=create", "kustomization/k", "-n", beside, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "kustomization/k", "-n", beside, "--timeout=60s")
    assert uids_when_there(kubectl, moved) == uids
