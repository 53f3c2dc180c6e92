"""What happens to a release is told by Kubernetes Events, in the words of its conditions."""

from __future__ import annotations

from tests.controlplane.cluster import Cli
from tests.parity.looking import events, reasons
from tests.parity.world import World


def test_a_release_s_life_is_told(world: World, kubectl: Cli) -> None:
    world.deploy("plain")
    world.ready()
    world.until(lambda: reasons(world) == ["InstallSucceeded"], "the install is told", lambda: str(events(world)))
    described = kubectl("describe", "helmrelease", "demo", "--namespace", world.ours)
    assert "Helm install succeeded for release" in described.partition("\nEvents:")[2]

    world.deploy("plain", {"text": "after"})
    world.ready()
    world.remove()()

    told = ["InstallSucceeded", "UpgradeSucceeded", "UninstallSucceeded"]
    world.until(lambda: reasons(world) == told, "all of it is told", lambda: str(events(world)))
    last = events(world)[-1]
    assert last["message"] == f"Helm uninstall succeeded for release {world.ours}/demo.v2 with chart plain@1.2.3"
    assert {(event["type"], event["count"]) for event in events(world)} == {("Normal", 1)}


def test_the_commit_is_named(world: World) -> None:
    world.deploy("plain", suspend=True)
    manifest = world.helm_release()
    manifest["metadata"]["annotations"] = {
        "gitsync.dev/commit": "3f2a91c" + 33 * "0",
        "gitsync.dev/commit-author": "Ann",
        "gitsync.dev/commit-subject": "text is new",
    }
    manifest["spec"]["suspend"] = False
    world._put(manifest)
    world.ready()

    world.until(lambda: len(events(world)) == 1, "the install is told")
    assert events(world)[0]["message"].endswith("with chart plain@1.2.3 (commit 3f2a91c by Ann: text is new)")


def test_failures_and_their_remedy_are_told(world: World) -> None:
    world.deploy("hooks")
    world.ready()
    remediation = {"retries": 0, "remediateLastFailure": True, "strategy": "rollback"}
    world.deploy("hooks", {"failing": "pre-upgrade"}, upgrade={"remediation": remediation})

    told = ["InstallSucceeded", "UpgradeFailed", "RollbackSucceeded"]
    world.until(lambda: reasons(world) == told, "failure and rollback are told", lambda: str(events(world)))
    failure = events(world)[1]
    assert failure["type"] == "Warning"
    assert "pre-upgrade hook hooks/templates/jobs.yaml failed" in failure["message"]
    assert "exit code 1" in failure["message"]


def test_a_mistake_in_depends_on_is_told_at_once(world: World) -> None:
    world.deploy("plain", dependsOn=[{"name": "nosuch"}])
    world.condition("Ready", "False", containing="does not exist")

    world.until(lambda: reasons(world) == ["DependencyMissing"], "it is told", lambda: str(events(world)))
    assert events(world)[0]["message"].startswith(f"dependency '{world.ours}/nosuch' does not exist; add that ")
    world.patch_spec(dependsOn=[])
    world.ready()


def test_a_repository_that_cannot_be_read_is_told_once(world: World) -> None:
    place = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{world.ours}/helmrepositories"
    metadata = {"name": "gone", "namespace": world.ours}
    spec = {"interval": "1h", "url": world.serving.url + "-gone"}
    manifest = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": metadata,
        "spec": spec,
    }
    world.cluster.request("POST", place, manifest)

    world.until(lambda: bool(events(world, "HelmRepository")), "it is told")
    (event,) = events(world, "HelmRepository")
    assert (event["type"], event["involvedObject"]["name"], event["count"]) == ("Warning", "gone", 1)
    assert event["reason"] in ("Failed", "IndexationFailed")
