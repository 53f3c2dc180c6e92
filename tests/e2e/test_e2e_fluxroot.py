"""What a repository of Flux says of its own Kustomization, which stands for the sync of the settings."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.configmaps import data
from tests.e2e.conftest import NewAgent
from tests.e2e.encrypted import PASSWORD, closed, secret
from tests.e2e.fluxrepositories import SYNC, config_map, kustomization
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.moving import finished
from tests.sopsfiles import AgeKey, age_key, program

KUSTOMIZATIONS = "kustomizations.kustomize.toolkit.fluxcd.io"
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n"
#: What another cluster of the same repository has otherwise.
SHAPE = {
    "postBuild": {
        "substitute": {"ENVIRONMENT": "prod", "NAME": "${ENVIRONMENT}-1"},
        "substituteFrom": [{"kind": "ConfigMap", "name": "cluster"}],
    },
    "commonMetadata": {"labels": {"team": "platform"}},
    "patches": [
        {
            "patch": json.dumps([{"op": "add", "path": "/data/patched", "value": "by ${ENVIRONMENT}"}]),
            "target": {"kind": "ConfigMap", "name": "settings"},
        }
    ],
    "decryption": {"provider": "sops", "secretRef": {"name": "sops-age"}},
}


def sync(**spec: Any) -> str:
    source, _, _ = SYNC.partition("---\n")
    return f"{source}---\n{kustomization('flux-system', './clusters/prod', **spec)}"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> AgentProcess:
    monkeypatch.setenv("PATH", f"{program('sops').parent}:{os.environ['PATH']}")
    return new_agent(fleet, "--path=clusters/prod")


def given(kubectl: Cli, key: AgeKey, zone: str) -> None:
    """What whoever bootstraps a cluster puts into it."""
    identity = base64.b64encode(key.text.encode()).decode()
    metadata = {"name": "sops-age", "namespace": "flux-system"}
    keys = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"identity.agekey": identity}}
    cluster = json.loads(config_map("cluster", zone=zone))
    cluster["metadata"]["namespace"] = "flux-system"
    for manifest in (NAMESPACE, json.dumps(keys), json.dumps(cluster)):
        kubectl("apply", "-f", "-", stdin=manifest)


def repository(namespace: str, key: AgeKey) -> dict[str, str | None]:
    """A kustomization.yaml for all, the Kustomization that has the keys beside what they open."""
    settings = json.loads(config_map("settings", text="${NAME} in ${zone}"))
    settings["metadata"]["namespace"] = namespace
    return {
        "clusters/prod/kustomization.yaml": "resources: [flux-system, settings.yaml, apps.yaml]\n",
        "clusters/prod/flux-system/kustomization.yaml": "resources: [namespace.yaml, gotk-sync.yaml, login.yaml]\n",
        "clusters/prod/flux-system/namespace.yaml": NAMESPACE,
        "clusters/prod/flux-system/gotk-sync.yaml": sync(**SHAPE),
        "clusters/prod/flux-system/login.yaml": closed(
            secret("login").replace("name: login", f"name: login\n  namespace: {namespace}"), key
        ),
        "clusters/prod/settings.yaml": json.dumps(settings),
        "clusters/prod/apps.yaml": kustomization("apps", "./apps/${ENVIRONMENT}", targetNamespace=namespace),
        "apps/prod/one.yaml": config_map("one"),
    }


def test_the_directory_is_built_as_its_own_kustomization_says(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """Variables, also those in its own, patches, labels, and keys for what is in one build with it."""
    key = age_key()
    given(kubectl, key, "a")
    first = fleet.commit(repository(namespace, key), "as bootstrapped")
    finished(agent.start(), first)
    assert data(kubectl, namespace, "settings") == {"text": "prod-1 in a", "patched": "by prod"}
    login = json.loads(kubectl("get", "secret", "login", "-n", namespace, "-o", "json"))
    assert base64.b64decode(login["data"]["password"]).decode() == PASSWORD
    assert login["metadata"]["labels"]["team"] == "platform"
    kubectl("wait", "--for=create", "configmap/one", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", f"{KUSTOMIZATIONS}/flux-system", "-n", "flux-system", "--timeout=60s")

    options = [flag for flag in agent.arguments if flag.startswith(("--repo", "--name", "--path"))]
    code, plan, errors = agent.ended("plan", *options)
    assert (code, "settings" in plan) == (0, False), f"{plan}{errors}"

    given(kubectl, key, "b")
    kubectl("wait", "--for=jsonpath={.data.text}=prod-1 in b", "configmap/settings", "-n", namespace, "--timeout=60s")
    kubectl("delete", "configmap", "cluster", "-n", "flux-system")
    broken = fleet.edit("clusters/prod/settings.yaml", "in ${zone}", "at ${zone}", "and no variables")
    failed = agent.wait_for("file cannot be used", commit=broken[:7])
    assert failed.fields["file"].startswith("clusters/prod/flux-system/gotk-sync.yaml:")
    assert "ConfigMap/flux-system/cluster, which postBuild.substituteFrom names, does not exist" in str(failed.fields)
    agent.wait_for("sync finished with failures", commit=broken[:7])
    assert data(kubectl, namespace, "settings")["text"] == "prod-1 in b", "nothing of it is applied, and nothing pruned"
    given(kubectl, key, "c")
    kubectl("wait", "--for=jsonpath={.data.text}=prod-1 at c", "configmap/settings", "-n", namespace, "--timeout=60s")
    agent.stop()


def test_who_depends_on_flux_system_goes_on_though_nobody_has_made_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """Where Git does not have it ``flux bootstrap``, or Flux's operator, makes it in the cluster."""
    needs = {"dependsOn": [{"name": "flux-system"}], "targetNamespace": namespace, "wait": True}
    files = {
        "clusters/prod/namespace.yaml": NAMESPACE,
        "clusters/prod/apps.yaml": kustomization("apps", "./apps", **needs),
        "apps/one.yaml": config_map("one", text="1"),
    }
    agent = new_agent(fleet, "--path=clusters/prod")
    agent.start()
    for number in (1, 2):
        commit = fleet.commit({**files, "apps/one.yaml": config_map("one", text=str(number))}, f"number {number}")
        finished(agent, commit)
        wanted = f"--for=jsonpath={{.status.lastAppliedRevision}}=main@sha1:{commit}"
        kubectl("wait", wanted, f"{KUSTOMIZATIONS}/apps", "-n", "flux-system", "--timeout=60s")
        assert data(kubectl, namespace, "one") == {"text": str(number)}
    agent.stop()


@pytest.mark.parametrize("made", [True, False])
def test_who_depends_on_flux_system_goes_on_before_what_that_has_brought_is_ready(
    made: bool, new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """Without ``wait`` a Kustomization is ready when all is applied, as with Flux."""
    lost = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "lost", "namespace": namespace},
        "spec": {
            "interval": "10m",
            "chart": {"spec": {"chart": "lost", "sourceRef": {"kind": "HelmRepository", "name": "away"}}},
        },
    }
    away = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "away", "namespace": namespace},
        "spec": {"interval": "10m", "url": "http://127.0.0.1:9/charts"},
    }
    files = {
        "clusters/prod/namespace.yaml": NAMESPACE,
        "clusters/prod/lost.yaml": json.dumps(lost),
        "clusters/prod/away.yaml": json.dumps(away),
        "clusters/prod/apps.yaml": kustomization(
            "apps", "./apps", dependsOn=[{"name": "flux-system"}], targetNamespace=namespace
        ),
        "apps/one.yaml": config_map("one", text="1"),
    }
    if made:
        files["clusters/prod/sync.yaml"] = sync()
    agent = new_agent(fleet, "--path=clusters/prod")
    fleet.commit(files, "a chart that nobody has")
    agent.start()
    kubectl("wait", "--for=create", "configmap/one", "-n", namespace, "--timeout=60s")
    if made:
        ready = ("--for=condition=Ready", f"{KUSTOMIZATIONS}/flux-system", "-n", "flux-system", "--timeout=110s")
        kubectl("wait", *ready)
    ended = [line for line in agent.said("sync finished") if "sync" not in line.fields]
    assert not ended, "it waits for the release"
    agent.stop()
