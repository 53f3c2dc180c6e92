"""A release that was not ready in time, and became ready after all."""

from __future__ import annotations

from gitsync.api.identity import Manifest
from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Watch, condition, is_ready


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
