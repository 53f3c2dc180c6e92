"""Values in a ConfigMap that stands in Git beside the release that refers to it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Watch, is_ready


def values(namespace: str, message: str) -> str:
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata: {{name: values, namespace: {namespace}}}
data:
  values.yaml: "message: {message}"
"""


def referring(namespace: str, image: str) -> str:
    text = release(namespace, "app", values={"image": image})
    return text + "  valuesFrom: [{kind: ConfigMap, name: values}]\n"


def message(kubectl: Cli, namespace: str) -> str:
    text: str = json.loads(kubectl("get", "configmap", "app", "-n", namespace, "-o", "json"))["data"]["message"]
    return text


def test_a_commit_to_the_values_alone_upgrades_and_one_to_both_upgrades_once(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    files = {"charts.yaml": repository(namespace, charts.url)}
    fleet.commit({**files, "app.yaml": referring(namespace, "registry.example/app:1.0")}, "an app without its values")
    agent.start()
    missing = agent.wait_for(f"valuesFrom: ConfigMap '{namespace}/values' key 'values.yaml' does not exist")
    assert missing.fields["level"] == "warning"

    fleet.commit({"values.yaml": values(namespace, "one")}, "its values")
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "the release is ready")
    assert message(kubectl, namespace) == "one"

    fleet.commit({"values.yaml": values(namespace, "two")}, "other values")
    agent.wait_for("sync finished", commit=fleet.head[:7])
    agent.wait_for("release upgraded", release=f"{namespace}/app", commit=fleet.head[:7])
    assert message(kubectl, namespace) == "two"
    assert f"commit {fleet.head[:7]}" in helm_cli("history", "app", "-n", namespace)

    both = {"values.yaml": values(namespace, "three"), "app.yaml": referring(namespace, "registry.example/app:2.0")}
    fleet.commit(both, "values and image")
    agent.wait_for("sync finished", commit=fleet.head[:7])
    assert message(kubectl, namespace) == "three"
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "superseded"), (3, "deployed")]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what is loaded")
def test_the_helm_sdk_is_loaded_by_workers_only(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    """In the agent itself it would be a third of its memory."""
    app = release(namespace, "app", values={"image": "registry.example/app:1.0"})
    app += "  valuesFrom: [{kind: ConfigMap, name: values, valuesKey: one, targetPath: message}]\n"
    one = values(namespace, "all").replace('values.yaml: "message: all"', "one: '1.10'")
    fleet.commit({"charts.yaml": repository(namespace, charts.url), "app.yaml": app, "values.yaml": one}, "an app")
    agent.start()
    releases.until(lambda now: is_ready(now.get(f"{namespace}/app")), "the release is ready")
    assert message(kubectl, namespace) == "1.10"
    fleet.commit({"app.yaml": None}, "no app")
    agent.wait_for("release uninstalled", release=f"{namespace}/app")
    assert "libhelm" not in Path(f"/proc/{agent.pid}/maps").read_text()


def test_a_commit_whose_values_make_a_release_fail_is_the_one_that_failed(
    new_agent: NewAgent, fleet: Fleet, charts: ChartServer, namespace: str
) -> None:
    app = release(namespace, "app", timeout="2s") + "  valuesFrom: [{kind: ConfigMap, name: values}]\n"
    good = values(namespace, "one")
    bad = good.replace('"message: one"', '"image: registry.example/app:nonexistent"')
    fleet.commit(
        {"charts.yaml": repository(namespace, charts.url), "app.yaml": app, "values.yaml": good}, "all is well"
    )
    assert new_agent(fleet, "--once").start().wait() == 0

    fleet.commit({"values.yaml": bad}, "a bad image")
    agent = new_agent(fleet, "--once").start()
    assert agent.wait() == 1
    failed = agent.wait_for("sync finished with failures", commit=fleet.head[:7])
    assert failed.fields["failed"] == 1
    fleet.commit({"values.yaml": good}, "the good image")
    assert new_agent(fleet, "--once").start().wait() == 0
