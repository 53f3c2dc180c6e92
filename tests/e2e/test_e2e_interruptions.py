"""The agent is killed or stopped in the middle of its work, and started again."""

from __future__ import annotations

import json
import time

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import release, repository
from tests.e2e.watching import Now, Watch, condition, is_ready

LENGTH = 4
#: Short enough for many rounds, long enough for a kill to fall into it.
PODS = {"args": ["--ready-after=100ms"]}


def chain(namespace: str, prefix: str, message: str = "hello") -> dict[str, str | None]:
    """Releases of which each needs the one before, by file name."""
    names = [f"{prefix}-{number}" for number in range(LENGTH)]
    return {
        f"{name}.yaml": release(namespace, name, *names[:number][-1:], values={**PODS, "message": message})
        for number, name in enumerate(names)
    }


def until_installed(releases: Watch, namespace: str, prefix: str, revision: int = 1) -> None:
    def done(now: Now) -> bool:
        return all(
            is_ready(found := now.get(f"{namespace}/{prefix}-{number}"))
            and found is not None
            and found["status"]["history"][0]["version"] == revision
            for number in range(LENGTH)
        )

    releases.until(done, f"chain {prefix} at revision {revision}")


def is_settled(agent: AgentProcess, commit: str) -> bool:
    return bool(agent.said("sync finished", commit=commit[:7]))


def records(kubectl: Cli, namespace: str) -> list[str]:
    """``status vN name`` of every record of Helm."""
    listed = json.loads(kubectl("get", "secrets", "-n", namespace, "-l", "owner=helm", "-o", "json"))
    labels = [item["metadata"]["labels"] for item in listed["items"]]
    return sorted(f"{label['status']} v{label['version']} {label['name']}" for label in labels)


def kill_after(agent: AgentProcess, moment: float) -> None:
    """Kill so many seconds from now and start again. The moment is what is being tried, not a wait for something."""
    time.sleep(moment)
    agent.kill()
    agent.start()


@pytest.mark.timeout(900)
def test_killed_at_twenty_moments_of_a_sync_it_converges_with_one_revision_each(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
) -> None:
    fleet.commit({"charts.yaml": repository(namespace, charts.url)}, "charts")
    agent.start().wait_for("sync finished")
    started = time.monotonic()
    fleet.commit(chain(namespace, "whole"), "a sync that nobody interrupts")
    until_installed(releases, namespace, "whole")
    duration = time.monotonic() - started

    interrupted = 0
    for number in range(20):
        prefix = f"kill{number}"
        commit = fleet.commit(chain(namespace, prefix), f"chain {prefix}")
        before = agent.count
        kill_after(agent, duration * (number + 0.5) / 20)
        if agent.said("sync finished", after=before, commit=commit[:7]):
            duration *= 0.7  # the machine has become quicker
        else:
            interrupted += 1
        until_installed(releases, namespace, prefix)
    agent.wait_for("sync finished", commit=fleet.head[:7])

    assert interrupted >= 10, f"only {interrupted} of 20 kills fell into a sync; one takes {duration:.2f}s"
    names = [f"{prefix}-{n}" for prefix in ("whole", *(f"kill{k}" for k in range(20))) for n in range(LENGTH)]
    assert helm.listed(helm_cli, namespace) == dict.fromkeys(names, ("deployed", 1))
    assert records(kubectl, namespace) == sorted(f"deployed v1 {name}" for name in names)
    for name in names:  # and no status says otherwise than Helm
        assert releases.get(f"{namespace}/{name}")["status"]["history"][0]["status"] == "deployed"
        assert len(releases.get(f"{namespace}/{name}")["status"]["history"]) == 1


@pytest.mark.timeout(900)
def test_killed_in_the_middle_of_upgrades_each_adds_exactly_one_revision(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, helm_cli: Cli, namespace: str
) -> None:
    fleet.commit({"charts.yaml": repository(namespace, charts.url), **chain(namespace, "up")}, "a chain")
    agent.start()
    until_installed(releases, namespace, "up")
    agent.wait_for("sync finished")
    started = time.monotonic()
    fleet.commit(chain(namespace, "up", "whole"), "an upgrade that nobody interrupts")
    until_installed(releases, namespace, "up", 2)
    duration = time.monotonic() - started

    for number in range(4):
        fleet.commit(chain(namespace, "up", f"upgrade {number}"), f"upgrade {number}")
        kill_after(agent, duration * (number + 0.5) / 4)
        until_installed(releases, namespace, "up", 3 + number)
    for number in range(LENGTH):
        statuses = helm.history(helm_cli, namespace, f"up-{number}")
        assert statuses == [*((revision, "superseded") for revision in range(2, 6)), (6, "deployed")]


@pytest.mark.timeout(900)
def test_killed_in_the_middle_of_an_uninstall_it_leaves_nothing_behind(
    agent: AgentProcess,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    deployments: Watch,
    kubectl: Cli,
    namespace: str,
) -> None:
    fleet.commit({"charts.yaml": repository(namespace, charts.url), **chain(namespace, "stays")}, "charts")
    agent.start()
    until_installed(releases, namespace, "stays")
    stays = {f"{namespace}/stays-{number}" for number in range(LENGTH)}
    for number in range(3):
        files = chain(namespace, f"goes{number}")
        commit = fleet.commit(files, f"chain {number}")
        until_installed(releases, namespace, f"goes{number}")
        agent.wait_for("sync finished", commit=commit[:7])
        fleet.commit(dict.fromkeys(files), f"no chain {number}")
        kill_after(agent, 0.15 + 0.2 * number)
        releases.until(lambda now: set(now) == stays, f"chain {number} gone")
    # The killed one may have been done with all but the saying so.
    ends = {"sync finished", "commit changes nothing in the cluster"}
    agent.until(lambda line: line.msg in ends and line.fields.get("commit") == fleet.head[:7], "the end of the sync")

    assert records(kubectl, namespace) == sorted(f"deployed v1 stays-{number}" for number in range(LENGTH))
    deployments.until(lambda now: {key for key in now if key.startswith(namespace)} == stays, "their objects gone")


def test_stopped_in_the_middle_of_a_wait_it_ends_soon_and_takes_the_same_revision_up_again(
    agent: AgentProcess, fleet: Fleet, charts: ChartServer, releases: Watch, helm_cli: Cli, namespace: str
) -> None:
    slow = release(namespace, "slow", values={"args": ["--ready-after=10s"]})
    fleet.commit({"charts.yaml": repository(namespace, charts.url), "slow.yaml": slow}, "a slow one")
    agent.start()
    agent.until(lambda line: line.msg == "waiting" and line.fields.get("release") == f"{namespace}/slow")

    assert agent.stop() == 0
    # It has not waited until the release was ready.
    assert helm.listed(helm_cli, namespace) == {"slow": ("pending-install", 1)}
    assert condition(releases.get(f"{namespace}/slow"), "Ready")["status"] == "Unknown"

    agent.start()
    releases.until(lambda now: is_ready(now.get(f"{namespace}/slow")), "slow ready")
    agent.wait_for("taking up what was interrupted", release=f"{namespace}/slow")
    assert helm.history(helm_cli, namespace, "slow") == [(1, "deployed")]
