"""A release that was not ready in time, and became ready after all."""

from __future__ import annotations

from functools import partial

from gitsync.api.identity import Manifest
from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError
from tests.e2e import helm
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map, release, repository
from tests.e2e.watching import Watch, condition, is_ready
from tests.until import ask_until

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


def _is_stalled(manifest: Manifest | None) -> bool:
    return manifest is not None and condition(manifest, "Stalled").get("status") == "True"


def test_a_release_that_becomes_ready_after_its_deadline_recovers_by_itself(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    helm_cli: Cli,
    namespace: str,
) -> None:
    slow = release(namespace, "slow", values={"args": ["--ready-after=6s"]}, timeout="2s")
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            # Looked at again every few seconds: nobody commits anything, nobody asks for anything.
            "slow.yaml": slow.replace("interval: 1h", "interval: 3s"),
            "next.yaml": release(namespace, "next", "slow"),
        },
        "a slow one, and one that needs it",
    )
    agent.start()

    agent.wait_for("install retries exhausted", release=f"{namespace}/slow")
    releases.until(lambda now: _is_stalled(now.get(f"{namespace}/slow")), "slow is stalled")
    agent.wait_for("release has become ready after its deadline", release=f"{namespace}/slow")
    releases.until(
        lambda now: is_ready(now.get(f"{namespace}/slow")) and is_ready(now.get(f"{namespace}/next")), "both are ready"
    )
    (revision,) = helm.rows(helm_cli, namespace, "slow")
    assert (revision["revision"], revision["status"]) == (1, "deployed")
    assert "ready after its deadline" in revision["description"]


def _asked(cluster: Cluster, namespace: str) -> bool:
    """Whether the API server knows of a webhook for Services yet: it hears of them by a watch."""
    service = {"metadata": {"name": "probe"}, "spec": {"ports": [{"port": 80}]}}
    try:
        cluster.request("POST", f"/api/v1/namespaces/{namespace}/services?dryRun=All", service)
    except ApiError as error:
        return "failed calling webhook" in str(error)
    return False


def test_an_object_whose_webhook_does_not_serve_yet_holds_nothing_else_up(
    new_agent: NewAgent, fleet: Fleet, control_plane: Cluster, namespace: str
) -> None:
    name = f"{namespace}.example.org"
    webhook = {
        "name": name,
        "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["services"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "clientConfig": {"service": {"name": "nosuch", "namespace": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    control_plane.request("POST", WEBHOOKS, {"metadata": {"name": name}, "webhooks": [webhook]})
    service = (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: held, namespace: {namespace}}}\n"
        "spec: {ports: [{port: 80}], clusterIP: None}\n"
    )
    fleet.commit({"held.yaml": service, "free.yaml": config_map(namespace, "free")}, "two objects")
    try:
        ask_until(partial(_asked, control_plane, namespace), bool, "the webhook is asked")
        first = new_agent(fleet, "--name=late", "--once").start()
        assert first.wait() == 1
    finally:
        control_plane.request("DELETE", f"{WEBHOOKS}/{name}")
    failed = first.wait_for("object failed", object=f"Service/{namespace}/held")
    assert f'admission webhook "{name}" does not answer' in failed.fields["error"]
    first.wait_for("object created", object=f"ConfigMap/{namespace}/free")
