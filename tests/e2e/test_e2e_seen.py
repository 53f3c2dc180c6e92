"""What an agent leaves in the cluster for whoever looks on: what it is at, what is held, where values are written."""

from __future__ import annotations

import json
from typing import Any

from gitsync.charts.serve import ChartServer
from gitsync.release.values.lines import lines_of
from gitsync.sync.storage.history import JournalEntry, decode_all
from tests.controlplane.cluster import Cli
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Watch, is_ready
from tests.until import ask_until


def under_way(kubectl: Cli, sync: str) -> dict[str, tuple[JournalEntry, ...]]:
    where = ("-n", "gitsync-system", "-o", "json", "--ignore-not-found")
    found: dict[str, Any] = json.loads(kubectl("get", "configmap", f"{sync}-under-way", *where) or "{}")
    return decode_all(found) if found else {}


def test_a_sync_that_lasts_tells_what_it_is_at_and_values_their_lines(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    kubectl: Cli,
    releases: Watch,
    namespace: str,
    sync_name: str,
) -> None:
    slow = release(namespace, "slow", values={"args": ["--ready-after=9s"]})
    then = release(namespace, "then", "slow")
    source = repository(namespace, charts.url)
    fleet.commit({"fleet/slow.yaml": slow, "fleet/then.yaml": then, "fleet/source.yaml": source}, "slow")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("sync started")

    def ways_now() -> dict[str, list[str]]:
        ways: dict[str, list[str]] = {}
        for entry in under_way(kubectl, sync_name).get("", ()):
            assert (entry.result, entry.commit) == ("running", fleet.head)
            ways = {change.object: [span.kind for span in change.spans] for change in entry.changes}
        return ways

    one = f"HelmRelease/{namespace}/slow"
    ways = ask_until(ways_now, lambda found: found.get(one, [""])[-1] == "settle", "it is waited for")
    assert ways[f"HelmRelease/{namespace}/then"][-1] == "wait"
    agent.wait_for("sync finished")
    seen = releases.first(f"{namespace}/slow", lambda seen: is_ready(seen.manifest))
    (origin,) = lines_of(seen.manifest).values()
    text = slow.splitlines()[origin.line - 1]
    assert (origin.path, "--ready-after=9s" in text) == ("fleet/slow.yaml", True)
    ask_until(lambda: under_way(kubectl, sync_name), lambda found: not found, "nothing is under way")
