"""What is the environment's fault holds a release, says so, spends no try, and ends by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.controlplane.errors import ApiError
from tests.parity.looking import ROLLBACK, conditions, logged
from tests.parity.world import Status, World

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
NO_RETRY = {"remediation": {"retries": 0}}


@contextmanager
def webhook_that_nobody_serves(world: World) -> Iterator[str]:
    """ConfigMaps of the world's namespace are to be shown to a service that does not exist; the webhook's name."""
    name = f"{world.ours}.example.org"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
    webhook = {
        "name": name,
        "rules": [rule | {"resources": ["configmaps"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.ours}},
        "clientConfig": {"service": {"name": "nosuch", "namespace": world.ours}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    world.cluster.request("POST", WEBHOOKS, {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        # The API server itself hears of it by a watch.
        world.until(lambda: "failed calling webhook" in refusal(world), "the webhook is asked")
        yield name
    finally:
        world.cluster.request("DELETE", f"{WEBHOOKS}/{name}")


def refusal(world: World) -> str:
    """Why no ConfigMap can be created; "" when one could be."""
    try:
        world.cluster.request(
            "POST", f"/api/v1/namespaces/{world.ours}/configmaps?dryRun=All", {"metadata": {"name": "probe"}}
        )
    except ApiError as error:
        return str(error)
    return ""


def limit(world: World, **hard: str) -> None:
    """Set the namespace's quota, and wait until the API server goes by it."""
    place = f"/api/v1/namespaces/{world.ours}/resourcequotas"
    manifest: dict[str, Any] = {"metadata": {"name": "few"}, "spec": {"hard": hard}}
    try:
        world.cluster.request("POST", place, manifest)
    except ApiError:
        world.cluster.request("PUT", f"{place}/few", manifest)
    world.until(
        lambda: world.cluster.request("GET", f"{place}/few").get("status", {}).get("hard") == hard, "the quota counts"
    )


def held(world: World, containing: str) -> Status:
    """Wait until the release says that it will be tried again for this reason; nothing was counted."""
    status = world.condition("Ready", "False", containing=containing)
    said = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert said["Ready"] == ("False", "ReconciliationFailed")
    assert said["Reconciling"] == ("True", "ProgressingWithRetry")
    assert "Stalled" not in said
    assert not status.get("failures")
    return status


def test_a_webhook_that_does_not_serve_yet_holds_an_install_and_spends_no_retry(world: World) -> None:
    with webhook_that_nobody_serves(world) as name:
        world.deploy("plain", install=NO_RETRY)
        held(world, f'admission webhook "{name}" does not answer: ')
        (line,) = logged(world, "release will be tried again")
        assert 'service "nosuch" not found' in line["error"]
        assert line["hint"] == "wait for what serves it; if nothing ever will, delete its WebhookConfiguration"

    world.ready()
    assert world.revisions() == [(1, "deployed")], "taken up where it was left"


def test_a_quota_holds_an_install_and_names_what_it_lacks(world: World) -> None:
    limit(world, **{"count/configmaps": "2", "pods": "0"})
    world.deploy("plain", install=NO_RETRY)
    held(world, "exceeded quota: few, requested: count/configmaps=1, used: count/configmaps=2")

    limit(world, **{"count/configmaps": "99", "pods": "0"})
    # It is the ReplicaSet that cannot create a pod now, and its Deployment says why.
    world.condition("Ready", "Unknown", containing="exceeded quota: few, requested: pods=1")
    limit(world, **{"count/configmaps": "99", "pods": "9"})
    world.ready()
    assert world.revisions() == [(1, "deployed")]


def test_a_rollback_that_is_held_up_goes_on_in_the_same_revision(world: World) -> None:
    world.deploy("hooks")
    world.ready()
    with webhook_that_nobody_serves(world):
        world.deploy("hooks", {"failing": "pre-upgrade"}, upgrade=ROLLBACK)
        world.condition("Ready", "False", containing="admission webhook")
        assert world.revisions() == [(1, "deployed"), (2, "failed"), (3, "pending-rollback")]

    world.condition("Remediated", "True", f"to previous release {world.ours}/demo.v1 ")
    world.condition("Stalled", "True")
    assert world.revisions() == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    found = conditions(world)
    assert found["Ready"]["reason"] == "UpgradeFailed", "what failed is said again"
    assert "Reconciling" not in found
