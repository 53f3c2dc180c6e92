"""What follows a failure: rollbacks and uninstalls, what is said of them, and what is when they fail, too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tests.parity import live
from tests.parity.looking import ROLLBACK, conditions, data, events, lines, logged, reasons
from tests.parity.world import World


def test_a_rollback_is_said_and_so_is_what_made_it_necessary(world: World) -> None:
    world.deploy("hooks")
    world.ready()
    world.deploy("hooks", {"failing": "pre-upgrade"}, upgrade=ROLLBACK)
    status = world.condition("Remediated", "True")

    said = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert said == {
        "Ready": ("False", "UpgradeFailed"),
        "Released": ("False", "UpgradeFailed"),
        "Remediated": ("True", "RollbackSucceeded"),
        "Stalled": ("True", "RetriesExceeded"),
    }
    words = f"Helm rollback to previous release {world.ours}/demo.v1 with chart hooks@1.0.0 succeeded"
    assert conditions(world)["Remediated"]["message"] == words
    told = ["InstallSucceeded", "UpgradeFailed", "RollbackSucceeded"]
    world.until(lambda: reasons(world) == told, "all of it is told", lambda: str(events(world)))
    assert events(world)[-1]["message"] == words
    assert [(item["version"], item["status"]) for item in status["history"]] == [
        (3, "deployed"),
        (2, "failed"),
        (1, "superseded"),
    ]

    world.deploy("hooks", {"failing": "never"})
    assert "Remediated" not in {item["type"] for item in world.ready()["conditions"]}


def test_a_rollback_that_fails_is_said_and_the_next_change_of_the_release_fixes_it(world: World) -> None:
    world.deploy("hooks", {"failing": "pre-rollback"})
    world.ready()
    world.deploy("hooks", {"failing": "pre-upgrade"}, upgrade=ROLLBACK)
    status = world.condition("Remediated", "False", "pre-rollback hook hooks/templates/jobs.yaml failed")

    said = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert said["Remediated"] == ("False", "RollbackFailed")
    assert said["Ready"] == ("False", "UpgradeFailed"), "what failed first stays said"
    assert said["Stalled"] == ("True", "RetriesExceeded")
    assert "Reconciling" not in said
    # Of helm the third stays pending-rollback, and locks the release.
    assert world.revisions() == [(1, "deployed"), (2, "failed"), (3, "failed")]
    told = ["InstallSucceeded", "UpgradeFailed", "RollbackFailed"]
    world.until(lambda: reasons(world) == told, "all of it is told", lambda: str(events(world)))
    (line,) = logged(world, "rollback failed")
    assert (line["level"], line["then"]) == ("error", "nothing more is tried")

    world.deploy("hooks", {"failing": "never"})
    world.ready()
    assert "Remediated" not in conditions(world)


def test_a_rollback_that_fails_leaves_the_tries_that_are_left(world: World) -> None:
    world.deploy("hooks", {"failing": "pre-rollback"})
    world.ready()
    world.deploy("hooks", {"failing": "pre-upgrade"}, upgrade={"remediation": {"retries": 1}})
    world.condition("Stalled", "True", "Failed to upgrade after 2 attempt(s)")
    world.condition("Remediated", "False")

    # upgrade, rollback, upgrade, rollback
    assert world.revisions() == [(1, "deployed"), *((number, "failed") for number in range(2, 6))]
    assert [line["then"] for line in logged(world, "rollback failed", count=2)] == [
        "the upgrade is tried again",
        "nothing more is tried",
    ]


def test_a_revision_whose_record_was_changed_is_not_rolled_back_to(world: World) -> None:
    world.deploy("plain", {"text": "first"})
    world.ready()
    world.deploy("plain", {"text": "second"})
    world.ready()
    world.patch_spec(suspend=True)
    live.tamper(world.cluster, world.ours, "demo", 2)
    broken = {"text": "third", "image": "registry.example/app:nonexistent"}
    world.deploy("plain", broken, upgrade={"timeout": "2s", **ROLLBACK})
    world.condition("Remediated", "True", f"to previous release {world.ours}/demo.v1 ")

    assert data(world)["text"] == "first"
    assert world.object("/api/v1", "configmaps", "smuggled") is None
    assert world.revisions()[-2:] == [(3, "failed"), (4, "deployed")]
    (refused,) = logged(world, "revision cannot be rolled back to")
    assert (refused["revision"], refused["why"]) == (2, "its record was changed since")

    for revision in (1, 4):
        live.tamper(world.cluster, world.ours, "demo", revision)
    world.deploy("plain", {**broken, "text": "fifth"}, upgrade={"timeout": "2s", **ROLLBACK})
    world.condition("Remediated", "False", "there is no good revision to roll back to (revision 4: its record was chan")
    assert world.revisions()[-1] == (5, "failed")
    assert "Stalled" in conditions(world)


def test_an_uninstall_that_fails_is_tried_until_it_succeeds(world: World) -> None:
    hanging = {"image": "registry.example/hook:nonexistent"}
    install = {"timeout": "1s", "remediation": {"retries": 1}}
    world.deploy("hooks", hanging, install=install, uninstall={"timeout": "1s"})
    world.condition("Remediated", "False", "pre-delete hook hooks/templates/jobs.yaml failed")

    found = conditions(world)
    assert found["Remediated"]["reason"] == found["Ready"]["reason"] == "UninstallFailed"
    assert found["Reconciling"]["reason"] == "ProgressingWithRetry"
    assert "Stalled" not in found
    world.until(lambda: reasons(world)[:2] == ["InstallFailed", "UninstallFailed"], "it is told")
    (line,) = logged(world, "uninstall failed, will be tried again")
    assert "pre-delete hook" in line["error"]

    world.patch_spec(uninstall={"disableHooks": True})
    world.condition("Stalled", "True", "Failed to install after 2 attempt(s)")
    assert world.revisions() == [(1, "failed")], "uninstalled in between, and tried again"
    world.deploy("hooks")
    world.ready()


def test_a_failed_install_that_is_uninstalled_keeps_its_history_where_that_is_asked_for(world: World) -> None:
    broken = {"image": "registry.example/app:nonexistent"}
    install = {"timeout": "1s", "remediation": {"retries": 1}}
    kept = {"keepHistory": True}
    world.deploy("plain", broken, install=install, uninstall=kept)
    world.condition("Stalled", "True", "Failed to install after 2 attempt(s)")

    assert world.revisions() == [(1, "uninstalled"), (2, "failed")]
    history = json.loads(world.helm("history", "demo", "--namespace", world.ours, "-o", "json"))
    assert [(item["revision"], item["status"]) for item in history] == [(1, "uninstalled"), (2, "failed")]
    assert [line["revision"] for line in lines(world, "release installed")] == []

    world.deploy("plain", install=install, uninstall=kept)
    world.ready()
    assert world.revisions() == [(1, "uninstalled"), (2, "failed"), (3, "deployed")]


def test_an_upgrade_that_is_uninstalled_with_no_retry_left_is_installed_anew(world: World) -> None:
    """As in Flux: what was there is gone, so an install is the least that can be done about it."""
    uninstall = {"remediation": {"retries": 0, "remediateLastFailure": True, "strategy": "uninstall"}}
    world.deploy("hooks")
    world.ready()
    world.deploy("hooks", {"failing": "pre-upgrade"}, upgrade=uninstall)
    world.until(lambda: bool(lines(world, "upgrade retries exhausted")), "the upgrade has failed")
    status = world.ready()

    assert world.revisions() == [(1, "deployed")]
    said = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert said == {"Ready": ("True", "InstallSucceeded"), "Released": ("True", "InstallSucceeded")}
    told = ["InstallSucceeded", "UpgradeFailed", "UninstallSucceeded"]
    world.until(lambda: reasons(world) == told, "all of it is told", lambda: str(events(world)))
    world.until(lambda: events(world)[0]["count"] == 2, "and that it is installed again")


def test_an_install_that_follows_an_uninstalled_upgrade_has_its_own_retries(world: World) -> None:
    uninstall = {"remediation": {"retries": 0, "remediateLastFailure": True, "strategy": "uninstall"}}
    broken = {"image": "registry.example/app:nonexistent"}
    install = {"timeout": "1s", "remediation": {"retries": 1, "remediateLastFailure": True}}
    world.deploy("plain", install=install)
    world.ready()
    world.deploy("plain", broken, install=install, upgrade={"timeout": "1s", **uninstall})
    status = world.condition("Stalled", "True", "Failed to install after 2 attempt(s)")
    world.until(lambda: world.revisions() == [], "the last failure is uninstalled, too")

    assert (status["upgradeFailures"], status["installFailures"]) == (1, 2)
    assert world.object("/apis/apps/v1", "deployments", "demo") is None


def test_a_rollback_that_becomes_ready_after_its_deadline_is_one_after_all(world: World) -> None:
    def app(image: str) -> dict[str, Any]:
        """Never the old pods beside the new: what it goes back to takes its time, however slow we are."""
        container = {"name": "app", "image": image, "args": ["--ready-after=3s"]}
        template = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container]}}
        spec = {"strategy": {"type": "Recreate"}, "selector": {"matchLabels": {"app": "app"}}, "template": template}
        return {"objects": [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"}, "spec": spec}]}

    world.deploy("raw", app("registry.example/app:1.0"))
    world.ready()
    broken = app("registry.example/app:nonexistent")
    world.deploy("raw", broken, upgrade={"timeout": "2s", **ROLLBACK}, rollback={"timeout": "1ms"})
    assert "not ready within 0.001s" in str(logged(world, "rollback failed")[0]["error"])

    def asked_again() -> bool:
        manifest = world.helm_release()
        notes = manifest["metadata"].setdefault("annotations", {})
        notes["reconcile.fluxcd.io/requestedAt"] = manifest["metadata"]["resourceVersion"]
        world._put(manifest)
        return conditions(world).get("Remediated", {}).get("status") == "True"

    world.until(asked_again, "the rollback is taken as done")
    assert world.revisions() == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    said = {name: (item["status"], item["reason"]) for name, item in conditions(world).items()}
    assert said["Ready"] == ("False", "UpgradeFailed"), "what is wanted was not deployed"
    assert said["Stalled"] == ("True", "RetriesExceeded")


def test_an_install_that_is_to_be_retried_is_until_it_succeeds(world: World) -> None:
    """The retries are upgrades, as in Flux; there the upgrade's policy would end them after the first."""
    install = {"timeout": "1s", "strategy": {"name": "RetryOnFailure", "retryInterval": "1s"}}
    world.deploy("plain", {"image": "registry.example/app:nonexistent"}, install=install, upgrade={"timeout": "1s"})
    world.until(lambda: len(world.revisions()) > 2, "it is tried again and again", lambda: str(conditions(world)))
    assert "Stalled" not in conditions(world)

    world.deploy("plain", install=install)
    world.ready()
    world.deploy("plain", {"image": "registry.example/app:nonexistent"}, install=install, upgrade={"timeout": "1s"})
    world.condition("Stalled", "True", containing="Failed to upgrade after 1 attempt(s)")


def test_the_inventory_is_what_is_in_the_cluster(world: World) -> None:
    """Objects and CRDs, without hooks; of the revision that is deployed, whatever was tried since."""

    def inventory(of: World = world) -> list[str]:
        return [f"{item['id']} {item['v']}" for item in of.helm_release()["status"]["inventory"]["entries"]]

    crds = replace(world, name="crds")
    crds.deploy("crds")
    crds.ready()
    assert inventory(crds) == [
        "_widgets.charts.example_apiextensions.k8s.io_CustomResourceDefinition v1",
        "_gadgets.charts.example_apiextensions.k8s.io_CustomResourceDefinition v1",  # of a subchart
        f"{world.ours}_crds_charts.example_Widget v1",
    ]

    world.deploy("hooks")
    world.ready()
    assert inventory() == [f"{world.ours}_demo__ConfigMap v1"]

    in_place = {"chartNameChangeStrategy": "InPlaceUpdate"}
    broken = {"image": "registry.example/app:nonexistent"}
    world.deploy("plain", broken, upgrade={**ROLLBACK, **in_place, "timeout": "1s"})
    world.condition("Remediated", "True")
    assert inventory() == [f"{world.ours}_demo__ConfigMap v1"]

    world.deploy("plain", upgrade=in_place)
    world.ready()
    assert f"{world.ours}_demo_apps_Deployment v1" in inventory()
    assert len(inventory()) == 6
