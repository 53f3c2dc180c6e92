"""HelmCharts: those that HelmReleases imply, and those that somebody makes by hand and names by chartRef."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli, write_kubeconfig
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.helmcharts import by_reference, helm_chart, server, text, until_ready
from tests.e2e.manifests import CHARTS, config_map, release, repository
from tests.e2e.watching import Now, Watch, condition
from tests.forked import run
from tests.until import ask_until

__all__ = ["server"]


def version_of_app(directory: Path, version: str, **files: str) -> Path:
    """The chart ``app`` in another version, with further files; its ConfigMap ``NAME-text`` has the value ``text``."""
    folder = directory / f"app-{version}"
    shutil.copytree(CHARTS / "app", folder)
    chart = folder / "Chart.yaml"
    chart.write_text(chart.read_text().replace("version: 1.0.0", f"version: {version}"))
    text = '"{{ .Values.text }} of {{ .Chart.Version }}"'
    template = config_map('"{{ .Release.Namespace }}"', '"{{ .Release.Name }}-text"', text)
    (folder / "templates" / "text.yaml").write_text(template)
    (folder / "values.yaml").write_text((folder / "values.yaml").read_text() + "text: own\n")
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    return folder


def until_gone(watch: Watch, key: str) -> None:
    watch.until(lambda now: key not in now, f"{key} is gone")


def is_as(key: str, wanted: Callable[[dict[str, Any]], bool], now: Now) -> bool:
    found = now.get(key)
    return found is not None and wanted(found)


def test_a_release_has_the_helmchart_that_flux_would_make_for_as_long_as_it_implies_one(
    new_agent: NewAgent,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    namespace: str,
) -> None:
    metadata = "  chart:\n    metadata:\n      labels: {team: a}\n      annotations: {note: b}\n"
    app = release(namespace, "app").replace("  chart:\n", metadata)
    files = {"charts.yaml": repository(namespace, server.url), "app.yaml": app}
    fleet.commit(files, "an app")
    agent = new_agent(fleet).start()
    name = f"{namespace}-app"
    key = f"{namespace}/{name}"
    until_ready(releases, f"{namespace}/app")
    until_ready(helm_charts, key)
    made = helm_charts.get(key)
    labels = {"helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": namespace, "team": "a"}
    assert made["metadata"]["labels"] == labels
    assert made["metadata"]["annotations"] == {"note": "b"}
    assert made["spec"] == {
        "chart": "app",
        "version": "1.0.0",
        "interval": "1h",
        "sourceRef": {"kind": "HelmRepository", "name": "charts"},
    }
    status = made["status"]
    ready = condition(made, "Ready")
    assert (ready["reason"], ready["message"]) == ("ChartPullSucceeded", "pulled 'app' chart with version '1.0.0'")
    assert condition(made, "ArtifactInStorage")["status"] == "True"
    assert (status["observedChartName"], status["artifact"]["revision"]) == ("app", "1.0.0")
    assert status["observedSourceArtifactRevision"].startswith("sha256:")
    assert status["url"] == f"{server.url}/apps"
    assert releases.get(f"{namespace}/app")["status"]["helmChart"] == key
    listed = kubectl("get", "helmcharts", "-n", namespace)
    assert "pulled 'app' chart with version '1.0.0'" in listed
    assert f"{name} " in agent.command("get", "sources", "chart", "-n", namespace)


def test_a_helmchart_of_a_release_is_kept_as_that_says_and_goes_when_it_implies_none(
    new_agent: NewAgent,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    namespace: str,
) -> None:
    app = release(namespace, "app").replace("  chart:\n", "  chart:\n    metadata:\n      labels: {team: a}\n")
    fleet.commit({"charts.yaml": repository(namespace, server.url), "app.yaml": app}, "an app")
    agent = new_agent(fleet).start()
    name = f"{namespace}-app"
    key = f"{namespace}/{name}"
    until_ready(helm_charts, key)
    made = helm_charts.get(key)
    # An idle agent writes nothing, nor does one that starts again.
    agent.wait_for("sync finished")
    before = helm_charts.get(key)["metadata"]["resourceVersion"]
    agent.stop()
    agent = new_agent(fleet).start()
    agent.wait_for("gitsync started")
    kubectl("annotate", "helmchart", name, "-n", namespace, "reconcile.fluxcd.io/requestedAt=now")
    handled = partial(is_as, key, lambda it: it["status"].get("lastHandledReconcileAt") == "now")
    helm_charts.until(handled, "the request is answered")
    seen = [it for it in helm_charts.of(key) if it.revision > int(before)]
    assert len(seen) == 2  # the request, and the answer
    assert not agent.said("chart found")  # that is the release's to say

    # What is changed or deleted by hand is put right; a commit changes it.
    kubectl("patch", "helmchart", name, "-n", namespace, "--type=merge", "-p", '{"spec":{"version":"9.9.9"}}')
    helm_charts.until(partial(is_as, key, lambda it: it["spec"]["version"] == "1.0.0"), "the version is put right")
    kubectl("delete", "helmchart", name, "-n", namespace)
    helm_charts.until(lambda now: now.get(key, made)["metadata"]["uid"] != made["metadata"]["uid"], "it is made again")
    fleet.commit({"app.yaml": app.replace("version: 1.0.0", "version: 1.x").replace("team: a", "other: b")}, "a range")

    def as_committed(now: Now) -> bool:
        return is_as(key, lambda it: it["spec"]["version"] == "1.x" and "team" not in it["metadata"]["labels"], now)

    helm_charts.until(as_committed, "the commit's range, without the label")

    # With a chartRef there is none, and so when the release goes. One that somebody else has made stays.
    kubectl("apply", "-f", "-", stdin=helm_chart(namespace, "by-hand"))
    fleet.commit({"app.yaml": by_reference(namespace, chart="by-hand")}, "by reference")
    until_gone(helm_charts, key)
    releases.until(partial(is_as, f"{namespace}/app", lambda it: "helmChart" not in it["status"]), "no helmChart")
    fleet.commit({"app.yaml": app}, "named in place again")
    until_ready(helm_charts, key)
    fleet.commit({"app.yaml": None}, "no app")
    until_gone(releases, f"{namespace}/app")
    until_gone(helm_charts, key)
    until_ready(helm_charts, f"{namespace}/by-hand")


def test_a_helmchart_that_is_somebody_elses_is_left_alone_and_one_that_flux_made_is_taken_over(
    new_agent: NewAgent,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    namespace: str,
) -> None:
    agent = new_agent(None).start()
    agent.wait_for("gitsync started")
    agent.stop()
    name = f"{namespace}-app"
    other = json.loads(helm_chart(namespace, f"{namespace}-other", version="1.0.0", chart="none"))
    made = json.loads(helm_chart(namespace, name, version="1.0.0", reconcileStrategy="ChartVersion"))
    labels = {"helm.toolkit.fluxcd.io/name": "app", "helm.toolkit.fluxcd.io/namespace": namespace}
    made["metadata"] |= {"labels": labels, "finalizers": ["finalizers.fluxcd.io"]}
    made["spec"]["interval"] = "1h0m0s"
    for manifest, manager in ((other, "somebody"), (made, "helm-controller")):
        kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", stdin=json.dumps(manifest))
    files = {"charts.yaml": repository(namespace, server.url)}
    files |= {f"{it}.yaml": release(namespace, it) for it in ("app", "other")}
    fleet.commit(files, "two apps")
    agent = new_agent(fleet).start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/other")
    until_ready(helm_charts, f"{namespace}/{name}")
    said = agent.wait_for("HelmChart of a release is not kept", release=f"{namespace}/other")
    assert "was not made for this release" in str(said.fields["why"])
    found = helm_charts.get(f"{namespace}/{namespace}-other")
    assert found["spec"]["chart"] == "none"
    assert condition(found, "Ready")["reason"] == "InvalidChartReference"
    managed = json.loads(kubectl("get", "helmchart", name, "-n", namespace, "-o", "json", "--show-managed-fields"))
    assert managed["metadata"]["generation"] == 1  # nothing had to be written
    fleet.commit({"app.yaml": release(namespace, "app").replace("1.0.0", "1.x"), "other.yaml": None}, "changed")
    is_changed = partial(is_as, f"{namespace}/{name}", lambda it: it["spec"]["version"] == "1.x")
    helm_charts.until(is_changed, "the version is the commit's")
    until_gone(releases, f"{namespace}/other")
    fleet.commit({"app.yaml": None}, "none")
    until_gone(helm_charts, f"{namespace}/{name}")
    assert helm_charts.get(f"{namespace}/{namespace}-other")["spec"]["chart"] == "none"


def test_a_helmchart_by_hand_is_a_chart_for_releases_and_follows_its_repository(
    agent: AgentProcess,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    tmp_path: Path,
    namespace: str,
) -> None:
    one = version_of_app(tmp_path, "1.1.0", prod="text: prod\n")
    server.publish("apps", [one])
    files = {
        "charts.yaml": repository(namespace, server.url).replace("interval: 1h", "interval: 1s"),
        "chart.yaml": helm_chart(namespace, version="1.x"),
        "app.yaml": by_reference(namespace),
        "next.yaml": by_reference(namespace, "next"),
    }
    fleet.commit(files, "by reference")
    agent.start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    assert text(kubectl, namespace) == "own of 1.1.0"
    agent.wait_for("chart found", repository=f"HelmChart/{namespace}/app", version="1.1.0")
    assert "helmChart" not in releases.get(f"{namespace}/app")["status"]
    assert set(helm_charts.of(f"{namespace}/app")[0].manifest["metadata"]["labels"]) >= {"gitsync.dev/sync"}
    assert f"{namespace}/{namespace}-app" not in {it.key for it in helm_charts.seen}

    # A new version in the range reaches both; one out of it nobody.
    server.publish("apps", [one, version_of_app(tmp_path, "1.2.0"), version_of_app(tmp_path, "2.0.0")])
    for name in ("app", "next"):
        agent.wait_for("release upgraded", release=f"{namespace}/{name}")
    assert text(kubectl, namespace) == "own of 1.2.0"

    # Other default values are another chart.
    wanted = helm_chart(namespace, version="1.1.0", valuesFiles=["values.yaml", "prod.yaml"])
    agent.wait_for("sync finished", commit=fleet.commit({"chart.yaml": wanted}, "values of prod")[:7])
    releases.until(lambda now: text(kubectl, namespace) == "prod of 1.1.0", "values of prod")
    until_ready(helm_charts, f"{namespace}/app")
    ready = condition(helm_charts.get(f"{namespace}/app"), "Ready")
    merged = "packaged 'app' chart with version '1.1.0' and merged values files [values.yaml prod.yaml]"
    assert (ready["reason"], ready["message"]) == ("ChartPackageSucceeded", merged)
    assert helm_charts.get(f"{namespace}/app")["status"]["observedValuesFiles"] == ["values.yaml", "prod.yaml"]

    # What cannot be had is said, and what runs keeps running.
    for spec, reason, kind, words in (
        ({"version": "7.x"}, "InvalidChartReference", "FetchFailed", "7.x"),
        ({"version": "1.1.0", "valuesFiles": ["none.yaml"]}, "ValuesFilesError", "BuildFailed", "none.yaml"),
        ({"sourceRef": {"kind": "HelmRepository", "name": "no"}}, "SourceUnavailable", "FetchFailed", "does not exist"),
        ({"verify": {"provider": "notation"}}, "NotSupported", "FetchFailed", "notation"),
    ):
        fleet.commit({"chart.yaml": helm_chart(namespace, **spec)}, words)

        def says(it: dict[str, Any], reason: str = reason, words: str = words) -> bool:
            ready = condition(it, "Ready")
            return ready.get("reason") == reason and words in ready["message"]

        helm_charts.until(partial(is_as, f"{namespace}/app", says), f"the HelmChart says {words}")
        assert condition(helm_charts.get(f"{namespace}/app"), kind)["status"] == "True"
        waits = partial(is_as, f"{namespace}/app", lambda it: condition(it, "Ready")["reason"] == "SourceNotReady")
        releases.until(waits, "the release waits")
        assert text(kubectl, namespace) == "prod of 1.1.0"
    fleet.commit({"chart.yaml": helm_chart(namespace, version="1.2.0")}, "corrected")
    releases.until(lambda now: text(kubectl, namespace) == "own of 1.2.0", "the chart is had again")
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")

    # A suspended one stays what it is, over a restart too.
    fleet.commit({"chart.yaml": helm_chart(namespace, version="1.x", suspend=True)}, "suspended")
    suspended = partial(is_as, f"{namespace}/app", lambda it: it["spec"].get("suspend") is True)
    helm_charts.until(suspended, "suspended")
    assert agent.ended("reconcile", "source", "chart", "app", "-n", namespace)[0] == 1


def test_a_helmchart_of_the_synced_repository_follows_commits_by_content_or_by_revision(
    agent: AgentProcess,
    fleet: Fleet,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    tmp_path: Path,
    namespace: str,
) -> None:
    folder = version_of_app(tmp_path, "1.0.0")
    lib = "apiVersion: v2\nname: lib\nversion: 1.0.0\n"
    files = {f"charts/app/{file.relative_to(folder)}": file.read_text() for file in folder.rglob("*") if file.is_file()}
    files["charts/app/Chart.yaml"] += "dependencies:\n  - {name: lib, version: 1.0.0, repository: 'file://../lib'}\n"
    files |= {"charts/lib/Chart.yaml": lib, "charts/lib/templates/lib.yaml": config_map(namespace, "out-of-lib")}
    source = {"kind": "GitRepository", "name": "flux-system"}
    chart = partial(helm_chart, namespace, chart="./charts/app", sourceRef=source)
    files |= {"objects/chart.yaml": chart(), "objects/app.yaml": by_reference(namespace)}
    fleet.commit({**files, ".sourceignore": "charts/\n"}, "a chart in Git")
    agent.start()
    until_ready(releases, f"{namespace}/app")
    until_ready(helm_charts, f"{namespace}/app")
    assert kubectl("get", "configmap", "out-of-lib", "-n", namespace)
    assert text(kubectl, namespace) == "own of 1.0.0"
    fleet.commit({"charts/app/values.yaml": files["charts/app/values.yaml"].replace("own", "new")}, "other values")
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert text(kubectl, namespace) == "new of 1.0.0"
    commit = fleet.commit({"objects/chart.yaml": chart(reconcileStrategy="Revision")}, "by revision")
    ask_until(partial(text, kubectl, namespace), lambda it: it == f"new of 1.0.0+{commit[:12]}", "the commit's version")
    commit = fleet.commit({"charts/notes.md": "nothing of the chart"}, "another commit")
    ask_until(partial(text, kubectl, namespace), lambda it: it == f"new of 1.0.0+{commit[:12]}", "the next one's")
    until_ready(helm_charts, f"{namespace}/app")
    assert helm_charts.get(f"{namespace}/app")["status"]["artifact"]["revision"] == f"1.0.0+{commit[:12]}"


def test_commands_know_helmcharts(
    new_agent: NewAgent,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    kubectl: Cli,
    tmp_path: Path,
    sync_name: str,
    namespace: str,
) -> None:
    one = version_of_app(tmp_path, "1.1.0")
    server.publish("apps", [one])
    files = {
        "charts.yaml": repository(namespace, server.url),
        "chart.yaml": helm_chart(namespace, version="1.1.0"),
        "app.yaml": by_reference(namespace),
    }
    fleet.commit(files, "by reference")
    flags = (f"--repo={fleet.path}", f"--name={sync_name}")
    agent = new_agent(fleet)
    code, planned, errors = agent.ended("plan", *flags, "-o", "json")
    assert (code, '"name": "app-text"' in planned) == (2, True), planned + errors
    code, said, errors = run(["validate", str(fleet.path)], os.environ)
    assert (code, said) == (0, ""), errors
    code, said, errors = run(["verify", flags[0], "-o", "json"], os.environ)
    assert code == 0, said + errors
    assert [(it["result"], it["chart"]) for it in json.loads(said)["releases"]] == [("ready", "app-1.1.0")]
    agent.start()
    until_ready(releases, f"{namespace}/app")
    server.publish("apps", [one, version_of_app(tmp_path, "1.2.0")])
    fleet.commit({"chart.yaml": helm_chart(namespace, version="~1.2")}, "the next one")
    code, planned, errors = agent.ended("plan", *flags)
    assert code == 2, errors
    assert "1.2.0" in planned
    _, said, errors = run(["diff", "HEAD~1", "HEAD", flags[0]], os.environ)
    assert "own of 1.2.0" in said, said + errors
    agent.command("reconcile", "source", "chart", "app", "-n", namespace, "--with-source")
    releases.until(lambda now: text(kubectl, namespace) == "own of 1.2.0", "the next one is installed")

    made = ("--source", "HelmRepository/charts", "--chart", "app", "--chart-version", "1.1.0", "-n", namespace)
    exported = agent.command("create", "source", "chart", "made", *made, "--export")
    assert "kind: HelmChart" in exported
    agent.command("create", "source", "chart", "made", *made)
    rows = {row.split()[0]: row.split()[1:4] for row in agent.command("get", "hc", "-n", namespace).splitlines()[1:]}
    assert rows == {"app": ["1.2.0", "False", "True"], "made": ["1.1.0", "False", "True"]}
    wide = agent.command("get", "sources", "chart", "-n", namespace, "-o", "wide")
    assert "HelmRepository/charts" in wide
    assert "chart: app" in agent.command("export", "source", "chart", "made", "-n", namespace)


def test_a_suspended_helmchart_stays_the_chart_that_it_is_over_a_restart(
    new_agent: NewAgent,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    tmp_path: Path,
    namespace: str,
) -> None:
    one = version_of_app(tmp_path, "1.1.0")
    server.publish("apps", [one, version_of_app(tmp_path, "1.2.0")])
    fleet.commit({"charts.yaml": repository(namespace, server.url)}, "a repository")
    agent = new_agent(fleet).start()
    kubectl("apply", "-f", "-", stdin=helm_chart(namespace, "made", version="1.1.0"))
    until_ready(helm_charts, f"{namespace}/made")
    kubectl("patch", "helmchart", "made", "-n", namespace, "--type=merge", "-p", '{"spec":{"version":"1.x"}}')
    newest = partial(is_as, f"{namespace}/made", lambda it: it["status"]["artifact"]["revision"] == "1.2.0")
    helm_charts.until(newest, "the newest")
    agent.command("suspend", "source", "chart", "made", "-n", namespace)
    code, _, errors = agent.ended("reconcile", "source", "chart", "made", "-n", namespace)
    assert (code, "is suspended" in errors) == (1, True)
    server.publish("apps", [one, version_of_app(tmp_path, "1.3.0"), tmp_path / "app-1.2.0"])
    agent.command("reconcile", "source", "helm", "charts", "-n", namespace)
    agent.stop()
    agent = new_agent(fleet).start()
    agent.wait_for("gitsync started")
    kubectl("apply", "-f", "-", stdin=by_reference(namespace, "late", "made"))
    until_ready(releases, f"{namespace}/late")
    late = json.loads(kubectl("get", "configmap", "late-text", "-n", namespace, "-o", "json"))
    assert late["data"]["text"] == "own of 1.2.0"
    agent.command("resume", "source", "chart", "made", "-n", namespace)
    agent.wait_for("release upgraded", release=f"{namespace}/late")
    agent.command("delete", "source", "chart", "made", "-n", namespace, "--silent")
    until_gone(helm_charts, f"{namespace}/made")


def test_an_agent_without_the_rights_for_helmcharts_says_so_once_and_goes_without(
    new_agent: NewAgent,
    fleet: Fleet,
    server: ChartServer,
    releases: Watch,
    helm_charts: Watch,
    kubectl: Cli,
    control_plane: ControlPlane,
    tmp_path: Path,
    namespace: str,
) -> None:
    new_agent(fleet, "--once").start().wait()  # brings the definitions
    sources = ["helmrepositories", "ocirepositories", "gitrepositories", "buckets", "externalartifacts"]
    others = ["", "apps", "apiextensions.k8s.io", "helm.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io"]
    rules = [
        {"apiGroups": [*others, "source.extensions.fluxcd.io"], "resources": ["*"], "verbs": ["*"]},
        {
            "apiGroups": ["source.toolkit.fluxcd.io"],
            "resources": [*sources, *(f"{it}/status" for it in sources)],
            "verbs": ["*"],
        },
    ]
    name = f"without-{namespace}"
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": name}}
    subject = {"kind": "ServiceAccount", "name": "agent", "namespace": namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    bound = {**rbac, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
    kubectl("create", "serviceaccount", "agent", "-n", namespace)
    for manifest in ({**rbac, "kind": "ClusterRole", "rules": rules}, bound):
        kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    token = kubectl("create", "token", "agent", "-n", namespace).strip()
    write_kubeconfig(tmp_path / "less", control_plane.server, token, control_plane.ca_file.read_bytes())
    two = {f"{it}.yaml": release(namespace, it) for it in ("app", "next")}
    fleet.commit({"charts.yaml": repository(namespace, server.url), **two}, "two apps")
    agent = new_agent(fleet, f"--kubeconfig={tmp_path / 'less'}").start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    agent.wait_for("sync finished")
    assert len(agent.said("HelmCharts are not served")) == 1
    assert not agent.said("HelmChart of a release is not kept")
    fleet.commit({"ref.yaml": by_reference(namespace, "ref")}, "by reference")
    waits = partial(is_as, f"{namespace}/ref", lambda it: condition(it, "Ready").get("reason") == "SourceNotReady")
    releases.until(waits, "the release waits")
    fleet.commit({f"{it}.yaml": None for it in ("app", "next", "ref")}, "none")
    until_gone(releases, f"{namespace}/app")
    agent.stop()
    # Who may read and not write them says it once, too.
    rules.append(
        {"apiGroups": ["source.toolkit.fluxcd.io"], "resources": ["helmcharts"], "verbs": ["get", "list", "watch"]}
    )
    kubectl("apply", "-f", "-", stdin=json.dumps({**rbac, "kind": "ClusterRole", "rules": rules}))
    fleet.commit(two, "two apps again")
    agent = new_agent(fleet, f"--kubeconfig={tmp_path / 'less'}").start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    line = agent.wait_for("HelmChart of a release is not kept")
    assert "helmcharts" in str(line.fields["why"])
    fleet.commit({f"{it}.yaml": None for it in ("app", "next")}, "none")
    until_gone(releases, f"{namespace}/app")
    until_gone(releases, f"{namespace}/next")
    assert len(agent.said("HelmChart of a release is not kept")) == 1
    assert not helm_charts.of(f"{namespace}/{namespace}-app")
