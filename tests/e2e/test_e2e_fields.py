"""Objects that other tools made, taken over by a sync: what Git drops goes, and what others share stays."""

from __future__ import annotations

import json
from pathlib import Path

from gitsync.api.identity import Manifest
from tests.apply.writers import FULL, SMALL, Writing, objects, written
from tests.controlplane.cluster import Cli, Cluster
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet


def files(writings: list[Writing], *, full: bool) -> dict[str, str | None]:
    """What Git has of each."""
    return {
        f"{each.name}.json.yaml": "\n---\n".join(
            json.dumps(item) for item in objects(each.name, each.namespace, full=full, idle=True)
        )
        for each in writings
    }


def test_what_git_takes_over_and_drops_goes_whoever_wrote_it_first(
    new_agent: NewAgent, fleet: Fleet, control_plane: Cluster, kubectl: Cli, namespace: str, tmp_path: Path
) -> None:
    by_how = written(control_plane, kubectl, namespace, tmp_path)
    writings = list(by_how.values())
    for each in writings:
        each(
            "patch",
            "configmap",
            each.name,
            "--field-manager=webhook",
            '--patch={"metadata":{"labels":{"webhook":"1"}}}',
        )

    fleet.commit(files(writings, full=True), "as they are")
    first = new_agent(fleet, "--once").start()
    assert first.wait() == 0
    assert {how: each.shown() for how, each in by_how.items()} == dict.fromkeys(by_how, FULL)
    finished = first.wait_for("sync finished")
    assert (finished.fields["created"], finished.fields["changed"]) == (0, 3 * len(writings)), "they were there before"
    taken = first.said("fields taken over", object=f"ConfigMap/{namespace}/writer-0")
    assert [line.fields["from"] for line in taken] == ["kubectl-client-side-apply"]

    fleet.commit(files(writings, full=False), "smaller")
    second = new_agent(fleet, "--once").start()
    assert second.wait() == 0

    assert {how: each.shown() for how, each in by_how.items()} == dict.fromkeys(by_how, SMALL)
    assert not second.said("fields taken over"), "once is enough"
    for each in writings:
        live: Manifest = control_plane.request("GET", f"/api/v1/namespaces/{namespace}/configmaps/{each.name}")
        assert live["metadata"]["labels"]["webhook"] == "1"


def cron_job(namespace: str, image: str, *variables: str) -> str:
    """A kind whose generation nobody else moves."""
    env = [{"name": name, "value": "1"} for name in variables]
    pod = {"restartPolicy": "Never", "containers": [{"name": "web", "image": image, "env": env}]}
    spec = {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    metadata = {"name": "web", "namespace": namespace}
    return json.dumps({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec})


def test_an_object_is_changed_once_when_it_is_taken_over(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """Two changes in a row would roll a workload's pods twice."""
    kubectl("apply", "-f", "-", stdin=cron_job(namespace, "registry.example/web:1", "MODE", "DEBUG"))

    fleet.commit({"web.yaml": cron_job(namespace, "registry.example/web:2", "MODE")}, "another image, a variable less")
    assert new_agent(fleet, "--once").start().wait() == 0

    live: Manifest = json.loads(kubectl("get", "cronjob", "web", "-n", namespace, "-o", "json"))
    (container,) = live["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["env"]) == ("registry.example/web:2", [{"name": "MODE", "value": "1"}])
    assert live["metadata"]["generation"] == 2
