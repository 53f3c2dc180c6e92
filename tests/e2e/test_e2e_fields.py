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
    assert (finished.fields["created"], finished.fields["changed"]) == (0, 2 * len(writings)), "they were there before"
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


def test_each_object_is_changed_once(
    new_agent: NewAgent, fleet: Fleet, control_plane: Cluster, kubectl: Cli, namespace: str, tmp_path: Path
) -> None:
    """Two changes in a row would roll a Deployment's pods twice."""
    writing = Writing(control_plane, kubectl, namespace, "web", tmp_path)
    writing("apply", "-f", writing.full)

    fleet.commit(files([writing], full=False), "taken over and smaller")
    assert new_agent(fleet, "--once").start().wait() == 0

    assert writing.shown() == SMALL
    sets = control_plane.request("GET", f"/apis/apps/v1/namespaces/{namespace}/replicasets")["items"]
    assert len(sets) == 2
