"""Where things come from: charts in the repository, a repository that is away, no repository at all."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitsync.api.identity import Manifest
from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import CHARTS, config_map, release, repository
from tests.e2e.watching import Now, Watch, condition, is_ready


def until_ready(releases: Watch, *keys: str) -> None:
    def done(now: Now) -> bool:
        return all(is_ready(now.get(key)) for key in keys)

    releases.until(done, f"{', '.join(keys)} ready")


@contextmanager
def serving(background: Background, port: int = 0) -> Iterator[ChartServer]:
    """A chart repository that is up as long as it is entered."""
    server = ChartServer({"apps": [CHARTS / "app"]}, port=port)
    background.run(server.__aenter__())
    try:
        yield server
    finally:
        background.run(server.__aexit__(None, None, None))


def chart_files(folder: str) -> dict[str, str]:
    """The chart ``app`` as files of a repository."""
    chart = CHARTS / "app"
    return {
        f"{folder}/{path.relative_to(chart).as_posix()}": path.read_text()
        for path in chart.rglob("*")
        if path.is_file()
    }


def in_repository(namespace: str, name: str, *needs: str) -> str:
    """A HelmRelease whose chart stands in the synced repository."""
    text = release(namespace, name, *needs).replace(
        "      chart: app\n      version: 1.0.0\n", "      chart: ./charts/app\n"
    )
    source = text[text.index("      sourceRef:") : text.index("  values:")]
    return text.replace(source, "      sourceRef: {kind: GitRepository, name: flux-system}\n")


def message(kubectl: Cli, namespace: str, name: str) -> str:
    found = json.loads(kubectl("get", "configmap", name, "-n", namespace, "-o", "json"))
    text: str = found["data"]["message"]
    return text


def test_a_chart_in_the_repository_is_installed_and_a_commit_to_the_chart_alone_upgrades_in_order(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, deployments: Watch, helm_cli: Cli, namespace: str
) -> None:
    fleet.commit(
        {
            **chart_files("charts/app"),
            "fleet/app.yaml": in_repository(namespace, "app"),
            "fleet/next.yaml": in_repository(namespace, "next", "app"),
        },
        "apps and their chart",
    )
    agent = new_agent(fleet, "--path=fleet").start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    agent.wait_for("sync finished", commit=fleet.head[:7])

    template = "charts/app/templates/deployment.yaml"
    fleet.edit(template, "- name: app\n", "- name: renamed\n", "chart: another container")
    agent.wait_for("release upgraded", release=f"{namespace}/next", commit=fleet.head[:7])
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 2), "next": ("deployed", 2)}
    app = releases.first(
        f"{namespace}/app",
        lambda seen: is_ready(seen.manifest) and seen.manifest["status"]["history"][0]["version"] == 2,
    )
    changed = deployments.first(f"{namespace}/next", lambda seen: "renamed" in json.dumps(seen.manifest["spec"]))
    assert app.revision < changed.revision

    fleet.commit({"README.md": "no chart"}, "something else")
    agent.wait_for("commit changes nothing in the cluster", commit=fleet.head[:7])
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 2), "next": ("deployed", 2)}


def test_a_chart_repository_that_is_down_leaves_installed_releases_alone_and_its_return_is_noticed(
    agent: AgentProcess,
    background: Background,
    fleet: Fleet,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
) -> None:
    with serving(background) as server:
        port = int(server.url.rpartition(":")[2])
        short = repository(namespace, server.url).replace("interval: 1h", "interval: 1s")
        fleet.commit({"charts.yaml": short, "old.yaml": release(namespace, "old")}, "while it is up")
        agent.start()
        until_ready(releases, f"{namespace}/old")

    down = agent.wait_for("chart repository cannot be read", repository=f"{namespace}/charts")
    assert down.fields["level"] == "warning"
    fleet.commit({"new.yaml": release(namespace, "new", values={"message": "new"})}, "while it is down")
    agent.wait_for("object created", object=f"HelmRelease/{namespace}/new")
    status = kubectl("get", "helmrepository", "charts", "-n", namespace, "-o", "json")
    assert condition(json.loads(status), "Ready")["status"] == "False"
    assert is_ready(releases.get(f"{namespace}/old"))
    assert helm.history(helm_cli, namespace, "old") == [(1, "deployed")]

    with serving(background, port):
        agent.wait_for("chart repository is back", repository=f"{namespace}/charts")
        until_ready(releases, f"{namespace}/old", f"{namespace}/new")
    assert helm.history(helm_cli, namespace, "old") == [(1, "deployed")]


def test_a_git_remote_that_is_gone_leaves_the_cluster_alone_and_its_return_is_noticed(
    new_agent: NewAgent,
    fleet: Fleet,
    charts: ChartServer,
    releases: Watch,
    kubectl: Cli,
    namespace: str,
    tmp_path: Path,
) -> None:
    files = {"charts.yaml": repository(namespace, charts.url), "app.yaml": release(namespace, "app")}
    fleet.commit({**files, "cm.yaml": config_map(namespace, "plain")}, "an app")
    agent = new_agent(fleet, "--interval=1s").start()
    until_ready(releases, f"{namespace}/app")
    agent.wait_for("sync finished")
    before = releases.get(f"{namespace}/app")["metadata"]["resourceVersion"]

    away = tmp_path / "away"
    shutil.move(fleet.path, away)
    said = agent.wait_for("repository cannot be read, the cluster is left as it is")
    assert said.fields["level"] == "warning"
    shutil.move(away, fleet.path)
    agent.wait_for("repository can be read again", after=said.number)
    assert len(agent.said("repository cannot be read, the cluster is left as it is")) == 1
    assert releases.get(f"{namespace}/app")["metadata"]["resourceVersion"] == before
    assert "plain" in kubectl("get", "configmaps", "-n", namespace)

    fleet.commit({"cm.yaml": config_map(namespace, "plain", "changed")}, "after the outage")
    agent.wait_for("sync finished", commit=fleet.head[:7])


def test_without_a_repository_it_serves_what_kubectl_applies(
    new_agent: NewAgent, charts: ChartServer, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    agent = new_agent(None).start(f"--probe-port={port}")
    agent.wait_for("gitsync started")
    for path in ("healthz", "readyz"):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
            assert answer.status == 200
    text = "---\n".join(
        [repository(namespace, charts.url), release(namespace, "app"), release(namespace, "next", "app")]
    )
    kubectl("apply", "-f", "-", stdin=text)
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 1), "next": ("deployed", 1)}

    kubectl("apply", "-f", "-", stdin=release(namespace, "app", values={"message": "by hand"}))
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert message(kubectl, namespace, "app") == "by hand"
    kubectl("delete", "helmrelease", "next", "app", "-n", namespace, "--timeout=120s")
    assert helm.listed(helm_cli, namespace) == {}
    assert [line.fields["release"] for line in agent.said("release uninstalled")] == [
        f"{namespace}/next",
        f"{namespace}/app",
    ]


@pytest.mark.parametrize("broken", [False, True], ids=["all ready: 0", "a release fails: 1"])
def test_once_ends_with_an_exit_code_that_tells_whether_everything_is_ready(
    new_agent: NewAgent, fleet: Fleet, charts: ChartServer, helm_cli: Cli, namespace: str, broken: bool
) -> None:
    values = {"image": "registry.example/app:nonexistent"} if broken else {}
    fleet.commit(
        {
            "charts.yaml": repository(namespace, charts.url),
            "app.yaml": release(namespace, "app", values=values, timeout="3s"),
            "next.yaml": release(namespace, "next", "app"),
        },
        "two apps",
    )
    agent = new_agent(fleet, "--once").start()
    assert agent.wait() == (1 if broken else 0)
    failed = {"app": ("failed", 1)}
    installed = {"app": ("deployed", 1), "next": ("deployed", 1)}
    assert helm.listed(helm_cli, namespace) == (failed if broken else installed)
    # Once more, with nothing to do: it tells what is not ready all the same.
    assert agent.start().wait() == (1 if broken else 0)
    unready = {line.fields["release"] for line in agent.said("not ready")}
    assert unready == ({f"{namespace}/app", f"{namespace}/next"} if broken else set())


def test_a_release_whose_repository_comes_late_says_what_is_wrong_with_that(
    new_agent: NewAgent, fleet: Fleet, namespace: str, releases: Watch
) -> None:
    """It said that there is none until its own next try, which may be minutes later."""

    def says(words: str, what: str) -> None:
        releases.until(lambda now: words in ready_message(now.get(f"{namespace}/app")), what, timeout=20)

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        fleet.commit({"fleet/app.yaml": release(namespace, "app")}, "a release")
        agent = new_agent(fleet, "--path=fleet").start()
        says("does not exist", "missing")
        fleet.commit({"fleet/repository.yaml": repository(namespace, url)}, "its repository")
        says(url, "away")
        agent.stop()


def ready_message(manifest: Manifest | None) -> str:
    return str(condition(manifest or {}, "Ready").get("message", ""))
