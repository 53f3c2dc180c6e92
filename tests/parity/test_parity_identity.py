"""Names and namespaces of a release, what a change of them does, and how much of its history is kept."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from tests.parity.looking import logged
from tests.parity.manifests import Manifest
from tests.parity.world import World

LONG = "a-helm-release-whose-name-goes-far-beyond-what-helm-takes-of-one"


def test_a_long_name_is_cut_short_and_another_name_or_namespace_is_another_release(world: World) -> None:
    def has_settings(name: str, namespace: str = "") -> bool:
        return world.object("/api/v1", "configmaps", f"{name}-settings", namespace) is not None

    source = replace(world, name=LONG)
    source.deploy("plain")
    short = f"{LONG[:40]}-{hashlib.sha256(LONG.encode()).hexdigest()[:12]}"
    assert source.ready()["history"][0]["name"] == short
    assert len(short) == 53
    assert replace(world, name=short).revisions() == [(1, "deployed")]

    source.patch_spec(releaseName="demo")
    source.ready()
    assert world.revisions() == [(1, "deployed")]
    assert (has_settings("demo"), has_settings(short)) == (True, False)
    assert replace(world, name=short).revisions() == []
    (line,) = logged(world, "release is to be another one, uninstalling what it was")
    assert line["helm_release"] == f"{world.ours}/{short}"
    assert line["why"] == f"its name was {short} and is demo"

    source.patch_spec(targetNamespace=world.theirs)  # its records stay where the HelmRelease is
    source.ready()
    assert (has_settings("demo", world.theirs), has_settings("demo")) == (True, False)
    assert world.revisions() == [(1, "deployed")]
    source.remove()()
    assert not has_settings("demo", world.theirs)


def test_another_chart_is_another_release(world: World) -> None:
    """Unless ``chartNameChangeStrategy`` is InPlaceUpdate."""
    world.deploy("plain")
    world.ready()
    world.deploy("keep")
    world.ready()
    assert world.revisions() == [(1, "deployed")]
    assert world.object("/apis/apps/v1", "deployments", "demo") is None

    world.deploy("plain", upgrade={"chartNameChangeStrategy": "InPlaceUpdate"})
    world.ready()
    assert world.revisions() == [(1, "superseded"), (2, "deployed")]


def test_as_many_revisions_are_kept_as_by_helm_and_the_good_one_always(world: World) -> None:
    def compare() -> list[tuple[int, str]]:
        assert world.revisions() == world.revisions(world.theirs)
        return world.revisions()

    most = ("--history-max", "2")
    world.deploy("raw", {"n": 0}, maxHistory=2)
    world.install("raw", {"n": 0})
    for number in (1, 2, 3):
        world.ready()
        world.deploy("raw", {"n": number}, maxHistory=2)
        world.upgrade("raw", {"n": number}, *most)
    world.ready()
    assert compare() == [(3, "superseded"), (4, "deployed")]

    # Tries that fail push nothing out that could be rolled back to.
    for port in ("none", "nor this", "nor that"):
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s"},
            "spec": {"ports": [{"port": port}]},
        }
        world.deploy("raw", {"objects": [service]}, maxHistory=2)
        world.condition("Stalled", "True", containing="Failed to upgrade")
    assert [status for _, status in world.revisions()] == ["deployed", "failed"]
    world.deploy("raw", {"n": 3}, maxHistory=1)
    world.ready()
    assert world.revisions()[-1][1] == "deployed"


def test_what_belongs_to_an_object_may_be_left_behind(world: World) -> None:
    """deletionPropagation; by default it goes, too."""

    def replica_sets() -> list[Manifest]:
        found = world.cluster.request("GET", f"/apis/apps/v1/namespaces/{world.ours}/replicasets")["items"]
        return [item for item in found if "deletionTimestamp" not in item["metadata"]]

    world.deploy("plain", uninstall={"deletionPropagation": "orphan"})
    world.ready()
    world.remove()()
    assert world.object("/apis/apps/v1", "deployments", "demo") is None
    (orphan,) = replica_sets()
    assert "ownerReferences" not in orphan["metadata"]

    world.deploy("plain")
    world.ready()  # the new Deployment takes the ReplicaSet in
    world.remove()()
    world.until(lambda: not replica_sets(), "what belongs to it goes, too", lambda: str(replica_sets()))


def test_a_hook_s_job_that_goes_by_its_time_to_live_is_done(world: World) -> None:
    def job(name: str, *command: str) -> Manifest:
        container = {"name": "c", "image": "registry.example/hook:1.0", "command": list(command)}
        pod = {"restartPolicy": "Never", "containers": [container]}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "annotations": {"helm.sh/hook": "pre-install,pre-upgrade"}},
            "spec": {"backoffLimit": 0, "ttlSecondsAfterFinished": 0, "template": {"spec": pod}},
        }

    world.deploy("raw", {"objects": [job("fine", "true")]})
    world.ready()
    world.until(lambda: world.object("/apis/batch/v1", "jobs", "fine") is None, "its time to live is over")

    world.deploy("raw", {"objects": [job("fails", "sh", "-c", "exit 1")]})
    world.condition(
        "Ready", "False", containing=f"pre-upgrade hook raw/templates/objects.yaml failed: Job/{world.ours}"
    )
