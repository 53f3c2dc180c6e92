"""Claims that Kubernetes deletes with another object stay when Git has them as manifests of their own."""

from __future__ import annotations

import json
import time
from functools import partial

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import finished
from tests.until import ask_until

CHART = {
    "charts/box/Chart.yaml": "apiVersion: v2\nname: box\nversion: 1.0.0\n",
    "charts/box/templates/all.yaml": "{{ range .Values.objects }}---\n{{ toYaml . }}\n{{ end }}",
}
GONE = "# gone\n"
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet", "--allow-mass-prune").start()


def stateful_set(namespace: str) -> dict[str, object]:
    container = {"name": "main", "image": "registry.example/app:1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "podManagementPolicy": "Parallel",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
            "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": CLAIM}],
        },
    }


def claim(namespace: str) -> dict[str, object]:
    metadata = {"name": "data-db-0", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": CLAIM}


def release(namespace: str, *objects: dict[str, object]) -> str:
    source = {"kind": "GitRepository", "name": "flux-system"}
    return json.dumps(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "a", "namespace": namespace},
            "spec": {
                "interval": "1h",
                # The scheduler has no volumes to give.
                "install": {"disableWait": True},
                "upgrade": {"disableWait": True},
                "chart": {"spec": {"chart": "./charts/box", "sourceRef": source}},
                "values": {"objects": objects},
            },
        }
    )


def owners(kubectl: Cli, namespace: str) -> dict[str, tuple[str, bool]]:
    """By claim, its uid, and whether a StatefulSet takes it with it."""
    found = json.loads(kubectl("get", "pvc", "-n", namespace, "-o", "json"))["items"]
    return {
        item["metadata"]["name"]: (item["metadata"]["uid"], "ownerReferences" in item["metadata"])
        for item in found
        if "deletionTimestamp" not in item["metadata"]
    }


@pytest.mark.parametrize("who", ["git", "release", "release that goes on"])
def test_a_claim_that_git_has_stays_and_the_other_goes(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, who: str
) -> None:
    held, kept, text = stateful_set(namespace), claim(namespace), json.dumps(claim(namespace))
    if who == "git":
        steps = [{"fleet/a.yaml": json.dumps(held)}, {"fleet/claim.yaml": text}, {"fleet/a.yaml": GONE}]
    elif who == "release":
        steps = [{"fleet/a.yaml": release(namespace, held)}, {"fleet/claim.yaml": text}, {"fleet/a.yaml": GONE}]
    else:
        changes = [(held,), (held, kept), (kept,)]
        steps = [{"fleet/a.yaml": release(namespace, *objects)} for objects in changes]
    finished(agent, fleet.commit({**CHART, "fleet/m.yaml": config_map(namespace, "m"), **steps[0]}, "its own claims"))
    get = partial(owners, kubectl, namespace)
    before = ask_until(get, lambda found: len(found) == 2 and all(owned for _, owned in found.values()), "two claims")
    finished(agent, fleet.commit(steps[1], "one of them in Git"))
    finished(agent, fleet.commit(steps[2], "without the StatefulSet"))

    gone = partial(kubectl, "get", "statefulset", "-n", namespace, "-o", "name")
    ask_until(gone, lambda found: not found, "the StatefulSet is gone")
    ask_until(get, lambda found: "data-db-1" not in found, "the claim goes that nobody wants")
    assert get() == {"data-db-0": (before["data-db-0"][0], False)}
    assert agent.said("object failed") == []


def test_a_claim_of_git_does_not_go_with_what_somebody_has_made_its_owner(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    files = {"fleet/owner.yaml": config_map(namespace, "owner"), "fleet/claim.yaml": json.dumps(claim(namespace))}
    finished(agent, fleet.commit(files, "both in Git"))
    uid = kubectl("get", "configmap", "owner", "-n", namespace, "-o", "jsonpath={.metadata.uid}")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    patch = json.dumps({"metadata": {"ownerReferences": [owner]}})
    kubectl("patch", "pvc", "data-db-0", "-n", namespace, "--type=merge", "-p", patch)
    before = owners(kubectl, namespace)

    finished(agent, fleet.commit({"fleet/owner.yaml": GONE}, "one of them"))
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/owner")
    time.sleep(2)  # for the garbage collector, which tells nobody what it leaves alone
    assert owners(kubectl, namespace) == {"data-db-0": (before["data-db-0"][0], False)}
