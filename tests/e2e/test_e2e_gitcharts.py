"""Charts in the synced repository: which commit's chart a release has, and when it gets another."""

from __future__ import annotations

import json

from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import CHARTS, config_map, release
from tests.e2e.watching import Watch, is_ready

TEMPLATE = "charts/app/templates/deployment.yaml"


def chart_files(folder: str = "charts/app") -> dict[str, str]:
    """The chart ``app`` as files of a repository."""
    chart = CHARTS / "app"
    files = [path for path in chart.rglob("*") if path.is_file()]
    return {f"{folder}/{path.relative_to(chart).as_posix()}": path.read_text() for path in files}


def in_git(namespace: str, name: str, *needs: str, path: str = "./charts/app", **more: object) -> str:
    """A HelmRelease whose chart is a folder of the synced repository."""
    lines = release(namespace, name, *needs, **more).splitlines(keepends=True)  # type: ignore[arg-type]
    kept = [line for line in lines if not line.startswith(("      chart:", "      version:", "      sourceRef:"))]
    at = kept.index("    spec:\n") + 1
    chart = f"      chart: {path}\n      sourceRef: {{kind: GitRepository, name: flux-system}}\n"
    return "".join([*kept[:at], chart, *kept[at:]])


def containers(kubectl: Cli, namespace: str, name: str) -> list[str]:
    found = json.loads(kubectl("get", "deployment", name, "-n", namespace, "-o", "json"))
    return [item["name"] for item in found["spec"]["template"]["spec"]["containers"]]


def reconcile(kubectl: Cli, releases: Watch, namespace: str, name: str, token: str) -> None:
    """Ask for a pass, and wait until there was one."""
    note = f"reconcile.fluxcd.io/requestedAt={token}"
    kubectl("annotate", "helmrelease", name, "-n", namespace, "--overwrite", note)
    releases.first(
        f"{namespace}/{name}", lambda seen: (seen.manifest.get("status") or {}).get("lastHandledReconcileAt") == token
    )


def test_a_commit_that_is_held_changes_no_chart_neither_at_once_nor_after_a_restart_until_it_is_confirmed(
    agent: AgentProcess, fleet: Fleet, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    many = {f"fleet/many-{number}.yaml": config_map(namespace, f"many-{number}") for number in range(11)}
    fleet.commit({**chart_files(), **many, "fleet/app.yaml": in_git(namespace, "app")}, "an app and eleven more")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("sync finished")
    releases.first(f"{namespace}/app", lambda seen: is_ready(seen.manifest))

    text = (fleet.path / TEMPLATE).read_text()
    changed = {TEMPLATE: text.replace("- name: app\n", "- name: renamed\n"), **dict.fromkeys(many)}
    fleet.commit(changed, "most of it goes, and the chart changes")
    held = agent.wait_for("commit is held until it is confirmed", commit=fleet.head[:7])
    reconcile(kubectl, releases, namespace, "app", "while-held")
    assert helm.history(helm_cli, namespace, "app") == [(1, "deployed")]

    agent.stop()
    count = agent.count
    agent.start().wait_for("commit is held until it is confirmed", after=count)
    reconcile(kubectl, releases, namespace, "app", "after-restart")
    assert helm.history(helm_cli, namespace, "app") == [(1, "deployed")]
    assert containers(kubectl, namespace, "app") == ["app"]

    kubectl(*held.fields["hint"].partition("kubectl ")[2].split())
    upgraded = agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert upgraded.fields["commit"] == fleet.head[:7]
    assert containers(kubectl, namespace, "app") == ["renamed"]
    assert not agent.said("release interrupted")


def test_a_chart_that_changed_while_no_agent_ran_makes_one_revision_by_the_commit_that_changed_it(
    new_agent: NewAgent, fleet: Fleet, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    slow = {"args": ["--ready-after=1s"]}
    fleet.commit({**chart_files(), "fleet/app.yaml": in_git(namespace, "app", values=slow)}, "an app")
    assert new_agent(fleet, "--path=fleet", "--once").start().wait() == 0
    fleet.edit(TEMPLATE, "- name: app\n", "- name: renamed\n", "chart: another container")
    agent = new_agent(fleet, "--path=fleet", "--once").start()
    assert agent.wait() == 0
    upgraded = agent.said("release upgraded")
    assert [(line.fields["commit"], line.fields["subject"]) for line in upgraded] == [
        (fleet.head[:7], "chart: another container")
    ]
    assert not agent.said("release interrupted")
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "deployed")]
    assert containers(kubectl, namespace, "app") == ["renamed"]


def test_a_commit_that_takes_the_one_under_way_back_takes_back_what_that_has_done_already(
    agent: AgentProcess, fleet: Fleet, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    fleet.commit(
        {
            **chart_files(),
            "fleet/app.yaml": in_git(namespace, "app"),
            "fleet/slow.yaml": in_git(namespace, "slow"),
            "fleet/plain.yaml": config_map(namespace, "plain", "first"),
        },
        "two apps",
    )
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("sync finished")
    stuck = in_git(namespace, "slow", values={"args": ["--unready"]}, timeout="5m")
    text = (fleet.path / TEMPLATE).read_text()
    fleet.commit(
        {
            TEMPLATE: text.replace("- name: app\n", "- name: renamed\n"),
            "fleet/slow.yaml": stuck,
            "fleet/plain.yaml": config_map(namespace, "plain", "second"),
        },
        "one does not become ready",
    )
    agent.wait_for("release upgraded", release=f"{namespace}/app", commit=fleet.head[:7])
    fleet.revert()
    agent.wait_for("release upgraded", release=f"{namespace}/app", commit=fleet.head[:7])
    agent.wait_for("sync finished", commit=fleet.head[:7])
    assert containers(kubectl, namespace, "app") == ["app"]
    assert containers(kubectl, namespace, "slow") == ["app"]
    plain = json.loads(kubectl("get", "configmap", "plain", "-n", namespace, "-o", "json"))
    assert plain["data"] == {"text": "first"}
    assert helm.listed(helm_cli, namespace)["app"] == ("deployed", 3)


def test_a_release_that_no_commit_brought_follows_the_charts_of_the_commits_that_are_carried_out(
    agent: AgentProcess, fleet: Fleet, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    fleet.commit({**chart_files(), "fleet/plain.yaml": config_map(namespace, "plain")}, "a chart")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("sync finished")
    kubectl("apply", "-f", "-", stdin=in_git(namespace, "by-hand"))
    releases.first(f"{namespace}/by-hand", lambda seen: is_ready(seen.manifest))
    fleet.edit(TEMPLATE, "- name: app\n", "- name: renamed\n", "chart: another container")
    agent.wait_for("release upgraded", release=f"{namespace}/by-hand")
    assert helm.history(helm_cli, namespace, "by-hand") == [(1, "superseded"), (2, "deployed")]
    assert containers(kubectl, namespace, "by-hand") == ["renamed"]
