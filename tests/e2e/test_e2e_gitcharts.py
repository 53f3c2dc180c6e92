"""Charts in the synced repository: which commit's chart a release has, and when it gets another."""

from __future__ import annotations

import json

from gitsync.charts.serve import ChartServer
from gitsync.charts.source import archive_from_files
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.gitcharts import chart_files, chart_yaml, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map, repository
from tests.e2e.watching import Watch, condition, is_ready

TEMPLATE = "charts/app/templates/deployment.yaml"


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
    # Until the commit has reached it, the release waits without a word, and without a change of its status.
    assert not agent.said("release interrupted")
    assert not agent.said("release will be tried again")
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
    # There is no GitRepository that could be asked, and that is no reason to do nothing.
    agent.command("reconcile", "helmrelease", "by-hand", "-n", namespace, "--with-source")


def template(name: str, text: str = "x") -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {text}}}\n"


def config_maps(kubectl: Cli, namespace: str) -> dict[str, str]:
    """The ConfigMaps of a namespace, and what they say."""
    listed = json.loads(kubectl("get", "configmaps", "-n", namespace, "-o", "json"))["items"]
    return {it["metadata"]["name"]: it["data"]["text"] for it in listed if it["metadata"]["name"] != "kube-root-ca.crt"}


def test_links_in_charts_are_followed_and_a_change_of_what_they_lead_to_upgrades_whoever_uses_it(
    agent: AgentProcess, fleet: Fleet, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    for link, target in {
        "charts/app/templates/shared.yaml": "../../../shared/shared.yaml",
        "charts/app/charts/common": "../../common",
        "env/prod.yaml": "../shared/values.yaml",
        "linked-chart": "charts/common",
        "charts/bad/templates/out.yaml": "../../../../outside.yaml",
    }.items():
        (fleet.path / link).parent.mkdir(parents=True, exist_ok=True)
        (fleet.path / link).symlink_to(target)
    own = "'{{ .Values.a }}'"
    fleet.commit(
        {
            "charts/app/Chart.yaml": chart_yaml("app"),
            "charts/app/values.yaml": "a: chart\n",
            "charts/app/templates/own.yaml": template("own", own),
            "charts/common/Chart.yaml": chart_yaml("common"),
            "charts/common/templates/cm.yaml": template("common-of-{{ .Release.Name }}"),
            "charts/bad/Chart.yaml": chart_yaml("bad"),
            "shared/shared.yaml": template("shared"),
            "shared/values.yaml": "a: linked\n",
            "fleet/app.yaml": in_git(namespace, "app").replace(
                "./charts/app", "charts/app\n      valuesFiles: [env/prod.yaml]"
            ),
            "fleet/path.yaml": in_git(namespace, "path", path="linked-chart"),
            "fleet/bad.yaml": in_git(namespace, "bad", path="charts/bad"),
        },
        "charts with links",
    )
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("sync finished with failures")
    expected = {"own": "linked", "shared": "x", "common-of-app": "x", "common-of-path": "x"}
    assert config_maps(kubectl, namespace) == expected
    bad = condition(releases.get(f"{namespace}/bad"), "Ready")["message"]
    assert "charts/bad/templates/out.yaml is a symbolic link to '../../../../outside.yaml', which leads out" in bad

    fleet.commit({"shared/shared.yaml": template("shared", "changed")}, "what a link leads to")
    agent.wait_for("release upgraded", release=f"{namespace}/app", commit=fleet.head[:7])
    assert config_maps(kubectl, namespace) == expected | {"shared": "changed"}
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 2), "path": ("deployed", 1)}


def test_dependencies_of_charts_in_git_are_built_from_the_repository_and_from_chart_repositories(
    agent: AgentProcess,
    background: Background,
    fleet: Fleet,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
) -> None:
    def packaged(version: str) -> bytes:
        chart = chart_yaml("remote").replace("1.0.0", version)
        files = {"Chart.yaml": chart, "templates/cm.yaml": template("from-remote", version)}
        return archive_from_files({name: text.encode() for name, text in files.items()})

    server = ChartServer({"libs": [packaged("1.0.0")]}, username="reader", password="pa55word")
    background.run(server.__aenter__())
    try:
        needs = (
            "dependencies:\n"
            '- {name: near, version: 1.x, repository: "file://../near"}\n'
            f'- {{name: remote, version: 1.x, repository: "{server.url}/libs"}}\n'
        )
        source = repository(namespace, server.url).replace("/apps", "/libs/").replace("interval: 1h", "interval: 1s")
        kubectl(
            "create",
            "secret",
            "generic",
            "login",
            "-n",
            namespace,
            "--from-literal=username=reader",
            "--from-literal=password=pa55word",
        )
        fleet.commit(
            {
                "charts/app/Chart.yaml": chart_yaml("app", needs),
                "charts/app/templates/cm.yaml": template("from-app"),
                "charts/near/Chart.yaml": chart_yaml("near"),
                "charts/near/templates/cm.yaml": template("from-near"),
                "fleet/app.yaml": in_git(namespace, "app"),
                "fleet/source.yaml": source + "  secretRef: {name: login}\n",
                "fleet/lost.yaml": in_git(namespace, "lost", path="charts/lost"),
                "charts/lost/Chart.yaml": chart_yaml(
                    "lost", 'dependencies: [{name: near, repository: "file://../far"}]'
                ),
            },
            "an app with dependencies",
        )
        agent.arguments.append("--path=fleet")
        agent.start().wait_for("sync finished with failures")
        assert config_maps(kubectl, namespace) == {"from-app": "x", "from-near": "x", "from-remote": "1.0.0"}
        lost = condition(releases.get(f"{namespace}/lost"), "Ready")["message"]
        assert "depends on near from file://../far: there is no folder 'charts/far' in the repository" in lost

        fleet.commit({"charts/near/templates/cm.yaml": template("from-near", "changed")}, "what it depends on")
        agent.wait_for("release upgraded", release=f"{namespace}/app", commit=fleet.head[:7])
        assert config_maps(kubectl, namespace)["from-near"] == "changed"

        server.publish("libs", [packaged("1.0.0"), packaged("1.1.0")])
        agent.wait_for("release upgraded", release=f"{namespace}/app", revision=3)  # type: ignore[arg-type]
        assert config_maps(kubectl, namespace)["from-remote"] == "1.1.0"
        assert helm.history(helm_cli, namespace, "app")[-1] == (3, "deployed")
        assert "pa55word" not in agent.log
    finally:
        background.run(server.__aexit__(None, None, None))


def tenant(namespace: str, name: str) -> str:
    """A Kustomization of the folder of its name."""
    return f"""
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {{name: {name}, namespace: {namespace}}}
        spec:
          interval: 1h
          path: ./{name}
          prune: true
          sourceRef: {{kind: GitRepository, name: flux-system}}
        """


def test_releases_that_go_with_their_charts_are_not_told_as_failed(
    agent: AgentProcess, fleet: Fleet, releases: Watch, namespace: str
) -> None:
    charts = [file for name in ("own", "its") for file in chart_files(f"charts/{name}").items()]
    going = {
        **dict(charts),
        "fleet/own.yaml": in_git(namespace, "own", path="./charts/own"),
        "fleet/going.yaml": tenant(namespace, "going"),
        "going/its.yaml": in_git(namespace, "its", path="./charts/its"),
    }
    stays = {"fleet/stays.yaml": config_map(namespace, "stays")}
    fleet.commit({**going, **stays}, "two releases, one of them of a Kustomization")
    agent.arguments += ["--path=fleet", "--allow-mass-prune"]
    agent.start()
    for name in ("own", "its"):
        releases.first(f"{namespace}/{name}", lambda seen: is_ready(seen.manifest))
    fleet.commit(dict.fromkeys(going), "both go")
    for name in ("own", "its"):
        agent.wait_for("release uninstalled", release=f"{namespace}/{name}")
    assert [line.fields for line in agent.lines if line.fields["level"] in ("warning", "error")] == []
