"""An object that becomes a hook of a release changes hands like any other, and is nobody else's to delete meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.insides import CHART as TEXT
from tests.e2e.insides import release
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, Moved, box, finished

#: Hooks whose objects stay, and those that Helm deletes before it makes them anew, which it does by default.
STAYS: dict[str, Any] = {"events": "post-install,post-upgrade", "policy": "hook-failed"}
CLIENT_SIDE = "  upgrade: {serverSideApply: disabled}\n"
REPLACED: dict[str, Any] = {"events": "pre-install,pre-upgrade", "policy": "before-hook-creation"}


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet")


@pytest.fixture
def moved(namespace: str) -> Moved:
    return Moved("configmap", namespace)


@pytest.mark.parametrize("before", [True, False], ids=["upgrade", "install"])
def test_a_manifest_that_becomes_a_hook_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, moved: Moved, before: bool
) -> None:
    namespace = moved.namespace
    files = {**CHART, "fleet/moves.yaml": moved.plain()}
    if before:
        files["fleet/b.yaml"] = box(namespace, "b")
    agent.start()
    finished(agent, fleet.commit(files, "in git"))
    known = moved.live(kubectl)["uid"]
    after = {"fleet/moves.yaml": "# gone\n", "fleet/b.yaml": box(namespace, "b", hooks=["moves"], **STAYS)}
    finished(agent, fleet.commit(after, "to a hook"))

    assert moved.live(kubectl) == {"uid": known, "from": "b-hook", "release": "", "sync": ""}


@pytest.mark.parametrize(("first", "spec"), [("a", ""), ("b", CLIENT_SIDE)], ids=["a-first", "b-first-client-side"])
def test_an_object_of_a_release_that_becomes_a_hook_of_another_stays(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, moved: Moved, first: str, spec: str
) -> None:
    namespace = moved.namespace
    agent.start()
    before = {**CHART, "fleet/a.yaml": box(namespace, "a", [moved]), "fleet/b.yaml": box(namespace, "b")}
    finished(agent, fleet.commit(before, "in a"))
    known = moved.live(kubectl)["uid"]
    needs = {name: first if first not in ("", name) else "" for name in ("a", "b")}
    after = {
        "fleet/a.yaml": box(namespace, "a", needs=needs["a"]),
        "fleet/b.yaml": box(namespace, "b", needs=needs["b"], spec=spec, hooks=["moves"], **STAYS),
    }
    finished(agent, fleet.commit(after, "to a hook of b"))

    assert moved.live(kubectl) == {"uid": known, "from": "b-hook", "release": "", "sync": ""}


def test_a_hook_of_what_is_in_git_for_good_is_held_back(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, moved: Moved
) -> None:
    namespace = moved.namespace
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/moves.yaml": moved.plain()}, "in git"))
    known = moved.live(kubectl)
    finished(agent, fleet.commit({"fleet/b.yaml": box(namespace, "b", hooks=["moves"], **REPLACED)}, "and a hook"))

    assert f"ConfigMap/{namespace}/moves is already managed by sync" in conditions(kubectl, namespace)
    assert moved.live(kubectl) == known
    # Git lets go, and the release goes on by itself.
    finished(agent, fleet.commit({"fleet/moves.yaml": "# gone\n"}, "no more in git"))
    agent.wait_for("release installed", release=f"{namespace}/b")
    assert moved.live(kubectl)["from"] == "b-hook"


def test_a_hook_of_what_another_release_has_for_good_is_held_back(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, moved: Moved
) -> None:
    namespace = moved.namespace
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", [moved])}, "in a"))
    known = moved.live(kubectl)
    finished(agent, fleet.commit({"fleet/b.yaml": box(namespace, "b", hooks=["moves"], **REPLACED)}, "a hook of b"))

    assert f"ConfigMap/{namespace}/moves is already managed by HelmRelease" in conditions(kubectl, namespace)
    assert moved.live(kubectl) == known
    fleet.commit({"fleet/a.yaml": box(namespace, "a")}, "a lets go")
    agent.wait_for("release installed", release=f"{namespace}/b")
    assert moved.live(kubectl)["from"] == "b-hook"


@pytest.mark.parametrize("event", ["pre-delete", "post-delete"])
def test_a_hook_of_an_uninstall_writes_to_nothing_that_is_in_git_for_good(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, moved: Moved, event: str
) -> None:
    namespace = moved.namespace
    annotations = {"helm.sh/hook": event, "helm.sh/hook-delete-policy": "hook-succeeded"}
    hook = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "moves", "namespace": namespace, "annotations": annotations},
        "data": {"from": "hook"},
    }
    before = {
        **TEXT,
        "fleet/moves.yaml": moved.plain(),
        "fleet/own.yaml": config_map(namespace, "own"),
        "fleet/h.yaml": release(namespace, "h", json.dumps(hook), config_map(namespace, "of-h")),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "helmrelease/h", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    known = moved.live(kubectl)
    finished(agent, fleet.commit({"fleet/h.yaml": "# gone\n"}, "h goes"))
    agent.wait_for("release uninstalled", release=f"{namespace}/h")
    assert agent.said("hooks cannot run any more, left out", hooks=event)
    assert moved.live(kubectl) == known
    assert not agent.said("object changed", object=f"ConfigMap/{namespace}/moves"), "nobody wrote to it meanwhile"


def conditions(kubectl: Cli, namespace: str) -> str:
    return kubectl("get", "helmrelease", "b", "-n", namespace, "-o", "jsonpath={.status.conditions}")
