"""Releases of charts in GitRepositories, behind a real Git server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.gitcharts import chart_yaml
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map
from tests.e2e.registries import text, until_ready
from tests.e2e.watching import Now, Watch, condition
from tests.forked import run
from tests.git.git_world import HttpGit, Repository, basic, http_git
from tests.until import ask_until

PASSWORD = "s3cret-of-git"
LOGIN = {"username": "ada", "password": PASSWORD}


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The directory of repositories that the server has."""
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def server(background: Background, served: Path) -> Iterator[HttpGit]:
    serving = http_git(served)
    yield background.run(serving.__aenter__())
    background.run(serving.__aexit__(None, None, None))


@pytest.fixture
def charts(served: Path) -> Repository:
    """The repository ``charts``, with the chart ``app``."""
    return Repository.make(served / "charts")


def push(charts: Repository, version: str, said: str) -> str:
    """A commit with another version of the chart, whose ConfigMap has this text."""
    template = config_map('"{{ .Release.Namespace }}"', '"{{ .Release.Name }}-text"', said)
    return charts.commit(
        {"app/Chart.yaml": chart_yaml("app").replace("1.0.0", version), "app/templates/text.yaml": template}, said
    )


def git_repository(namespace: str, url: str, name: str = "charts", **spec: Any) -> str:
    spec = {"interval": "1s", "url": url, "ref": {"branch": "main"}, "secretRef": {"name": "login"}, **spec}
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {name: value for name, value in spec.items() if value is not None},
        }
    )


def login(namespace: str, **data: str) -> str:
    metadata = {"name": "login", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data or LOGIN})


def of_git(namespace: str, name: str, source: str = "charts", where: str = "", **spec: Any) -> str:
    """A HelmRelease of the chart ``app`` in a GitRepository."""
    reference = {"kind": "GitRepository", "name": source, **({"namespace": where} if where else {})}
    return json.dumps(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "interval": "1h",
                "timeout": "1m",
                "chart": {"spec": {"chart": "./app", "sourceRef": reference}},
                **spec,
            },
        }
    )


def source(kubectl: Cli, namespace: str, name: str = "charts") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", "gitrepository", name, "-n", namespace, "-o", "json"))
    return found


def test_charts_by_branch_tag_range_and_commit_are_installed_and_a_new_commit_upgrades_whom_it_is_for(
    agent: AgentProcess,
    fleet: Fleet,
    server: HttpGit,
    charts: Repository,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
) -> None:
    server.accepted = {basic("ada", PASSWORD)}
    first = push(charts, "1.0.0", "one")
    charts.git("tag", "v1.0.0")
    url = f"{server.url}/charts"
    refs = {"branch": "main", "tag": "v1.0.0", "semver": "1.x", "commit": first}
    fleet.commit(
        {
            "login.yaml": login(namespace),
            **{f"{kind}.yaml": git_repository(namespace, url, kind, ref={kind: ref}) for kind, ref in refs.items()},
            **{f"{kind}-app.yaml": of_git(namespace, f"of-{kind}", kind) for kind in refs},
        },
        "apps out of Git",
    )
    agent.start()
    until_ready(releases, *(f"{namespace}/of-{kind}" for kind in refs))
    agent.wait_for("sync finished", commit=fleet.head[:7])
    row = kubectl("get", "gitrepository", "tag", "-n", namespace).splitlines()
    assert row[0].split() == ["NAME", "URL", "AGE", "READY", "STATUS"]
    assert f"stored artifact for revision 'v1.0.0@sha1:{first}'" in row[1]

    second = push(charts, "1.1.0", "two")
    charts.git("tag", "v1.1.0")
    for kind in ("branch", "semver"):
        agent.wait_for("release upgraded", release=f"{namespace}/of-{kind}")
        assert text(kubectl, namespace, f"of-{kind}") == "two"
    assert [text(kubectl, namespace, f"of-{kind}") for kind in ("tag", "commit")] == ["one", "one"]
    revisions = {name: revision for name, (_, revision) in helm.listed(helm_cli, namespace).items()}
    assert revisions == {"of-branch": 2, "of-semver": 2, "of-tag": 1, "of-commit": 1}
    status = source(kubectl, namespace, "semver")["status"]
    assert status["artifact"]["revision"] == f"v1.1.0@sha1:{second}"
    events = kubectl("get", "events", "-n", namespace, "-o", "json")
    assert f"stored artifact for revision 'v1.1.0@sha1:{second}'" in events
    assert PASSWORD not in agent.log + events


def test_flux_system_is_the_synced_repository_and_nothing_is_fetched_for_it(
    new_agent: NewAgent,
    server: HttpGit,
    served: Path,
    releases: Watch,
    kubectl: Cli,
    namespace: str,
    sync_name: str,
) -> None:
    fleet = Fleet(served / "fleet")
    chart = {"app/Chart.yaml": chart_yaml("app"), "app/templates/text.yaml": _text("one")}
    # As flux bootstrap writes it: by another transport, with a Secret that is not there.
    address = "ssh://git@git.example/fleet"
    bootstrap = git_repository("flux-system", address, "flux-system", secretRef={"name": "flux-system"})
    same = git_repository(namespace, f"{server.url}/fleet.git", "same", secretRef=None)
    space = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}})
    first = fleet.commit(
        {
            **chart,
            "fleet/namespace.yaml": space,
            "fleet/gotk-sync.yaml": bootstrap,
            "fleet/same.yaml": same,
            "fleet/app.yaml": of_git(namespace, "app", "flux-system", "flux-system"),
            "fleet/next.yaml": of_git(namespace, "next", "same"),
        },
        "a repository of Flux",
    )
    flags = [f"--repo={server.url}/fleet", "--path=fleet", f"--name={sync_name}", "--interval=1h"]
    agent = new_agent(None, *flags).start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    agent.wait_for("sync finished", commit=first[:7])
    for where, name in (("flux-system", "flux-system"), (namespace, "same")):
        status = source(kubectl, where, name)["status"]
        assert status["artifact"]["revision"] == f"main@sha1:{first}"
        assert condition({"status": status}, "Ready")["status"] == "True"
    asked = [path for _, path, _ in server.seen if "info/refs" in path]
    assert len(asked) == 2, "the agent's question and its fetch, and none besides"

    second = fleet.commit({"app/templates/text.yaml": _text("two")}, "another text")
    said = agent.command("reconcile", "source", "git", "flux-system", "-n", "flux-system")
    assert "is ready" in said or "stored artifact" in said
    agent.wait_for("release upgraded", release=f"{namespace}/app", commit=second[:7])
    agent.wait_for("release upgraded", release=f"{namespace}/next", commit=second[:7])
    assert text(kubectl, namespace) == "two"

    def follows(found: dict[str, Any]) -> bool:
        return bool(found["status"]["artifact"]["revision"] == f"main@sha1:{second}")

    ask_until(lambda: source(kubectl, "flux-system", "flux-system"), follows, "the revision of the synced commit")


def _text(said: str) -> str:
    return config_map('"{{ .Release.Namespace }}"', '"{{ .Release.Name }}-text"', said)


def test_a_restart_needs_no_server_for_what_was_fetched_before(
    agent: AgentProcess,
    fleet: Fleet,
    server: HttpGit,
    charts: Repository,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
) -> None:
    push(charts, "1.0.0", "one")
    files = {
        "source.yaml": git_repository(namespace, f"{server.url}/charts", secretRef=None),
        "app.yaml": of_git(namespace, "app"),
    }
    fleet.commit(files, "an app")
    agent.start()
    until_ready(releases, f"{namespace}/app")
    agent.wait_for("sync finished")
    agent.stop()
    server.status = 503
    agent.start()
    agent.wait_for("git repository cannot be read", repository=f"{namespace}/charts")
    fleet.commit({"app.yaml": of_git(namespace, "app", values={"message": "new"})}, "new values")
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 2)}
    ready = condition(source(kubectl, namespace), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "GitOperationFailed")
    server.status = 0
    agent.wait_for("git repository can be read again", repository=f"{namespace}/charts")


def test_a_plan_a_verification_and_commands_know_it(
    agent: AgentProcess,
    fleet: Fleet,
    server: HttpGit,
    charts: Repository,
    releases: Watch,
    kubectl: Cli,
    namespace: str,
) -> None:
    server.accepted = {basic("ada", PASSWORD)}
    first = push(charts, "1.0.0", "one")
    kubectl("apply", "-f", "-", stdin=login(namespace))
    files = {
        "source.yaml": git_repository(namespace, f"{server.url}/charts", ref={"semver": ">=1.0.0", "branch": "main"}),
        "app.yaml": of_git(namespace, "app"),
    }
    charts.git("tag", "1.0.0")
    fleet.commit(files, "an app")
    code, plan, errors = agent.ended("plan", f"--repo={fleet.path}", f"--name={namespace}", "-o", "json")
    assert (code, '"name": "app-text"' in plan) == (2, True), f"{plan}{errors}"
    code, said, errors = run(["validate", str(fleet.path)], os.environ)
    assert code == 0, said + errors
    assert "warning: not checked: this repository needs a Secret of the cluster" in said
    code, said, errors = run(["verify", f"--repo={fleet.path}", "-o", "json"], os.environ)
    assert code == 1
    assert "Secret '" in said, "nobody brings it to a sandbox"
    agent.start()
    until_ready(releases, f"{namespace}/app")
    row = agent.command("get", "sources", "git", "-n", namespace).splitlines()[1].split()
    assert row[:4] == ["charts", f"1.0.0@sha1:{first[:8]}", "False", "True"]
    assert "charts" in agent.command("get", "sources", "all", "-n", namespace)
    agent.command("suspend", "source", "git", "charts", "-n", namespace)
    push(charts, "1.1.0", "two")
    charts.git("tag", "1.1.0")
    code, _, errors = agent.ended("reconcile", "source", "git", "charts", "-n", namespace)
    assert code == 1
    assert "is suspended" in errors
    assert text(kubectl, namespace) == "one"
    agent.command("resume", "source", "git", "charts", "-n", namespace)
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    agent.command("reconcile", "helmrelease", "app", "-n", namespace, "--with-source")
    assert 'semver: ">=1.0.0"' in agent.command("export", "source", "git", "charts", "-n", namespace)

    fleet.commit({"login.yaml": login(namespace)}, "with its login")
    code, said, errors = run(["verify", f"--repo={fleet.path}", "-o", "json"], os.environ)
    assert code == 0, f"{said}{errors}"
    found = {item["release"]: (item["result"], item["chart"]) for item in json.loads(said)["releases"]}
    assert found == {f"{namespace}/app": ("ready", "app-1.1.0")}
    assert PASSWORD not in said + errors + agent.log


@pytest.mark.parametrize("allowed", [True, False])
def test_a_source_of_another_namespace_is_used_as_far_as_settings_allow(
    new_agent: NewAgent,
    fleet: Fleet,
    server: HttpGit,
    charts: Repository,
    releases: Watch,
    namespace: str,
    allowed: bool,
) -> None:
    push(charts, "1.0.0", "one")
    other = f"{namespace}-other"
    fleet.commit(
        {
            "namespace.yaml": json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}),
            "source.yaml": git_repository(namespace, f"{server.url}/charts", secretRef=None),
            "app.yaml": of_git(other, "app", where=namespace),
        },
        "from elsewhere",
    )
    new_agent(fleet, *([] if allowed else ["--no-cross-namespace-refs"])).start()
    if allowed:
        until_ready(releases, f"{other}/app")
        return

    def refused(now: Now) -> bool:
        return condition(now.get(f"{other}/app") or {}, "Ready").get("reason") == "AccessDenied"

    releases.until(refused, "the reference is refused")


def test_a_release_waits_for_a_source_that_comes_later_and_that_is_mended(
    agent: AgentProcess,
    fleet: Fleet,
    server: HttpGit,
    charts: Repository,
    releases: Watch,
    kubectl: Cli,
    namespace: str,
) -> None:
    server.accepted = {basic("ada", PASSWORD)}
    push(charts, "1.0.0", "one")
    fleet.commit({"app.yaml": of_git(namespace, "app")}, "an app")
    agent.start()

    def says(words: str) -> None:
        def said(now: Now) -> bool:
            ready = condition(now.get(f"{namespace}/app") or {}, "Ready")
            return ready.get("reason") == "SourceNotReady" and words in ready["message"]

        releases.until(said, words)

    says(f"GitRepository '{namespace}/charts' does not exist")
    wrong = login(namespace, username="ada", password="wr0ng-password")
    source_file = git_repository(namespace, f"{server.url}/charts", interval="1h")
    fleet.commit({"source.yaml": source_file, "login.yaml": wrong}, "with a wrong login")
    says("refuses our credentials")
    fleet.commit({"login.yaml": login(namespace)}, "with the right one")
    until_ready(releases, f"{namespace}/app")
    assert "wr0ng-password" not in agent.log + kubectl("get", "events,gitrepositories,helmreleases", "-n", namespace)
