"""Somebody deletes a Namespace that Git has, and a commit changes something in it, or only the Namespace, before it is
gone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.insides import CHART, release
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import finished
from tests.until import ask_until


@pytest.fixture
def gone(kubectl: Cli, namespace: str) -> Iterator[str]:
    yield f"{namespace}-gone"
    kubectl("delete", "namespace", f"{namespace}-gone", "--ignore-not-found", "--wait=false")


def a_namespace(name: str, text: str) -> str:
    metadata = {"name": name, "labels": {"text": text}}
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}) + "\n"


def uid_of(kubectl: Cli, name: str) -> str:
    return kubectl("get", "namespace", name, "-o", "jsonpath={.metadata.uid}", "--ignore-not-found").strip()


def begun(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, gone: str, more: dict[str, str]
) -> AgentProcess:
    """An agent that has the Namespace, a Kustomization of ``k/``, and these files in place."""
    before: dict[str, str | None] = {
        "clusters/ns.yaml": a_namespace(gone, "before"),
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "clusters/own.yaml": config_map(namespace, "own"),
        **more,
    }
    agent = new_agent(fleet, "--path=clusters")
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=condition=Ready", "kustomization/k", "-n", namespace, "--timeout=60s")
    return agent


@pytest.mark.parametrize("change", ["all", "only the namespace"])
def test_what_was_in_it_comes_again_whoever_has_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, gone: str, change: str
) -> None:
    names = ("root", "other")
    inside = {"clusters/root.yaml": config_map(gone, "root"), "k/other.yaml": config_map(gone, "other")}
    agent = begun(new_agent, fleet, kubectl, namespace, gone, inside)
    former = uid_of(kubectl, gone)
    hangs = '{"metadata":{"finalizers":["test.dev/hangs"]}}'
    for name in names:
        kubectl("patch", "configmap", name, "-n", gone, "--type=merge", "-p", hangs)
    kubectl("delete", "namespace", gone, "--wait=false")
    kubectl("wait", "--for=jsonpath={.status.phase}=Terminating", f"namespace/{gone}", "--timeout=110s")
    after = {"clusters/ns.yaml": a_namespace(gone, "after")}
    if change == "all":
        after |= {
            "clusters/root.yaml": config_map(gone, "root", "after"),
            "k/other.yaml": config_map(gone, "other", "after"),
        }
    commit = fleet.commit(after, "after")
    waiting = {"for": f"Namespace/{gone}: is being deleted", "commit": commit[:7]}
    agent.until(lambda line: line.says("waiting", **waiting), "it waits for the namespace")
    for name in names:
        kubectl("patch", "configmap", name, "-n", gone, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    ask_until(lambda: uid_of(kubectl, gone), lambda uid: uid not in ("", former), "it is there again")
    for name in names:
        kubectl("wait", "--for=create", f"configmap/{name}", "-n", gone, "--timeout=110s")


def test_a_release_that_has_lost_something_is_named(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, gone: str
) -> None:
    before = {
        **CHART,
        "clusters/ns.yaml": a_namespace(gone, "before"),
        "clusters/own.yaml": config_map(namespace, "own"),
        "clusters/a.yaml": release(namespace, "a", config_map(gone, "of-a")),
    }
    agent = new_agent(fleet, "--path=clusters")
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("delete", "namespace", gone)
    fleet.commit({"clusters/ns.yaml": a_namespace(gone, "after")}, "after")
    gone_with_it = "objects of a release have gone with their namespace"
    line = agent.wait_for(gone_with_it, release=f"{namespace}/a", namespace=gone)
    agent.command(*line.fields["hint"].split()[1:])
    kubectl("wait", "--for=create", "configmap/of-a", "-n", gone, "--timeout=60s")


def test_one_that_was_kept_for_what_is_in_it_goes_when_that_does(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, gone: str
) -> None:
    inside = {"k/stays.yaml": config_map(namespace, "stays"), "k/inside.yaml": config_map(gone, "inside")}
    agent = begun(new_agent, fleet, kubectl, namespace, gone, inside)
    kept = fleet.commit({"clusters/ns.yaml": None}, "the namespace")
    finished(agent, kept)
    assert agent.said("object kept", object=f"Namespace/{gone}", commit=kept[:7])
    fleet.commit({"k/inside.yaml": None}, "and what is in it")
    kubectl("wait", "--for=delete", f"namespace/{gone}", "--timeout=110s")
