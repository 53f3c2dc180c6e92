"""What the agent says to Prometheus, of a real cluster."""

from __future__ import annotations

import socket
import urllib.request
from typing import Any

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, box, finished
from tests.until import ask_until
from tests.web.metrics import Samples, samples_of


def test_metrics_tell_how_objects_are_and_what_was_done(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    agent = new_agent(fleet, "--path=fleet", f"--metrics-port={port}").start()
    waits = box(namespace, "waits", needs="missing")
    files = {**CHART, "fleet/own.yaml": config_map(namespace, "own"), "fleet/waits.yaml": waits}
    finished(agent, fleet.commit({**files, "fleet/demo.yaml": box(namespace, "demo")}, "two releases"))

    def scraped() -> Samples:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            return samples_of(answer.read().decode())

    def ready(samples: Samples) -> dict[str, str]:
        found = [dict(labels) for name, labels in samples if name == "gotk_resource_info"]
        ours = (it for it in found if it["exported_namespace"] == namespace)
        return {it["name"]: it["ready"] for it in ours if it["customresource_kind"] == "HelmRelease"}

    def counted(samples: Samples, metric: str, /, **labels: str) -> float:
        """What is counted where these labels are among others; 0 where nothing is told."""
        wanted = set(labels.items())
        return sum(number for (name, has), number in samples.items() if name == metric and wanted <= has)

    def told(samples: Samples) -> dict[str, Any]:
        """Each is counted when it is done: a pass after the release has become ready."""
        passes = counted(
            samples, "gotk_reconcile_duration_seconds_count", kind="HelmRelease", name="demo", namespace=namespace
        )
        syncs = counted(samples, "gitsync_sync_duration_seconds_count", sync="root")
        patches = counted(samples, "rest_client_requests_total", method="PATCH", code="200")
        return {
            "ready": ready(samples),
            "waiting": counted(samples, "gitsync_waiting_objects", kind="HelmRelease", reason="DependencyMissing"),
            "polls": counted(samples, "gitsync_repository_polls_total", result="news"),
            "passes, syncs and patches": (passes > 0, syncs > 0, patches > 0),
        }

    expected = {
        "ready": {"demo": "True", "waits": "False"},
        "waiting": 1,
        "polls": 1,
        "passes, syncs and patches": (True, True, True),
    }
    ask_until(lambda: told(scraped()), lambda found: found == expected, "all of it is told")
    assert agent.command("get", "helmreleases", "-n", namespace)
