"""Releases of ExternalArtifacts: charts that an ArtifactGenerator makes of sources, HelmCharts and other artifacts."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e import helm
from tests.e2e.conftest import NewAgent
from tests.e2e.externalartifacts import external
from tests.e2e.harness import Fleet
from tests.e2e.helmcharts import by_reference, helm_chart, text, until_ready
from tests.e2e.helmcharts import server as server
from tests.e2e.manifests import config_map, repository
from tests.e2e.watching import Watch, condition
from tests.forked import run

CHART = {
    "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.2.0\n",
    "charts/app/values.yaml": "text: own\nother: own\n",
    "charts/app/templates/text.yaml": config_map(
        '"{{ .Release.Namespace }}"', '"{{ .Release.Name }}-text"', '"{{ .Values.text }} and {{ .Values.other }}"'
    ),
}


def generator(namespace: str, sources: list[dict[str, str]], *artifacts: dict[str, Any], name: str = "charts") -> str:
    return json.dumps(
        {
            "apiVersion": "source.extensions.fluxcd.io/v1beta1",
            "kind": "ArtifactGenerator",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"sources": sources, "artifacts": artifacts},
        }
    )


def repo() -> dict[str, str]:
    return {"alias": "repo", "kind": "GitRepository", "name": "flux-system"}


def with_values(name: str, chart: str, values: str, **more: Any) -> dict[str, Any]:
    """A chart with a file of values merged into its own."""
    copies = [
        {"from": chart, "to": "@artifact/"},
        {"from": values, "to": "@artifact/app/values.yaml", "strategy": "Merge"},
    ]
    return {"name": name, "copy": copies, **more}


def of_artifact(namespace: str, name: str = "app", artifact: str = "app") -> str:
    return by_reference(namespace, name, artifact).replace('"HelmChart"', '"ExternalArtifact"')


def test_a_release_of_an_artifact_is_upgraded_by_what_is_in_it_and_by_nothing_else(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    made = with_values("app", "@repo/charts/app", "@repo/prod.yaml", originRevision="@repo")
    files = {
        **CHART,
        "prod.yaml": "text: prod\n",
        "fleet/generator.yaml": generator(namespace, [repo()], made),
        "fleet/app.yaml": of_artifact(namespace),
    }
    fleet.commit(files, "a chart with other values")
    agent = new_agent(fleet, "--path=fleet").start()
    until_ready(releases, f"{namespace}/app")
    assert text(kubectl, namespace) == "prod and own"
    revision = external(kubectl, namespace)["app"]["status"]["artifact"]["revision"]
    digest = revision.removeprefix("latest@sha256:")
    status = releases.get(f"{namespace}/app")["status"]
    assert status["lastAttemptedRevisionDigest"] == status["history"][0]["ociDigest"] == revision
    assert status["lastAttemptedRevision"] == status["history"][0]["chartVersion"] == f"1.2.0+{digest[:12]}"
    assert helm.history(helm_cli, namespace, "app") == [(1, "deployed")]
    shown = json.loads(helm_cli("list", "-n", namespace, "-o", "json"))
    assert shown[0]["chart"] == f"app-1.2.0+{digest[:12]}"

    count = agent.count
    fleet.commit({"fleet/note.yaml": config_map(namespace, "note"), "other.yaml": "x: y\n"}, "nothing of the chart")
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/note")
    fleet.commit({"prod.yaml": "text: prod\nother: later\n"}, "other values")
    agent.wait_for("release upgraded", release=f"{namespace}/app", after=count)
    assert text(kubectl, namespace) == "prod and later"
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "deployed")]

    # In another life it is the chart that it was; what cannot be made any more leaves it as it is.
    agent.kill()
    count, before = agent.count, condition(releases.get(f"{namespace}/app"), "Ready")
    agent.start().wait_for("gitsync started", after=count)
    agent.command("reconcile", "helmrelease", "app", "-n", namespace)
    assert condition(releases.get(f"{namespace}/app"), "Ready") == before
    fleet.commit({"prod.yaml": "text: [\n"}, "no values")
    agent.wait_for("artifacts cannot be made", after=count)
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "deployed")]
    assert text(kubectl, namespace) == "prod and later"
    agent.stop()


def test_an_artifact_that_is_no_chart_and_one_that_nobody_makes_say_so(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    beside = {
        "name": "two",
        "copy": [{"from": "@repo/charts/", "to": "@artifact/"}, {"from": "@repo/x/", "to": "@artifact/"}],
    }
    files = {
        **CHART,
        "x/a.yaml": "a: b\n",
        "fleet/generator.yaml": generator(namespace, [repo()], beside),
        "fleet/two.yaml": of_artifact(namespace, "two", "two"),
        "fleet/none.yaml": of_artifact(namespace, "none", "none"),
    }
    fleet.commit(files, "no chart")
    agent = new_agent(fleet, "--path=fleet").start()

    def ready(name: str, reason: str) -> str:
        def said(seen: Any) -> bool:
            found = condition(seen.manifest, "Ready")
            return (found.get("status"), found.get("reason")) == ("False", reason)

        return str(condition(releases.first(f"{namespace}/{name}", said).manifest, "Ready")["message"])

    message = ready("two", "ArtifactFailed")
    assert "holds no chart, but 'charts', 'x'" in message
    assert f"ExternalArtifact '{namespace}/two' at latest@sha256:" in message
    message = ready("none", "SourceNotReady")
    assert f"ExternalArtifact '{namespace}/none' is made by no ArtifactGenerator of its namespace" in message

    # What is mended is gone on with at once.
    mended = {"name": "two", "copy": [{"from": "@repo/charts/app/", "to": "@artifact/"}]}
    fleet.commit({"fleet/generator.yaml": generator(namespace, [repo()], mended)}, "the chart alone")
    until_ready(releases, f"{namespace}/two")
    agent.stop()


def test_artifacts_are_made_of_helmcharts_and_of_other_artifacts(
    new_agent: NewAgent, fleet: Fleet, server: ChartServer, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    git: dict[str, Any] = {"sourceRef": {"kind": "GitRepository", "name": "flux-system"}, "chart": "charts/app"}
    chart = {"alias": "chart", "kind": "HelmChart", "name": "app"}
    pulled = {"alias": "pulled", "kind": "HelmChart", "name": "pulled"}
    plain = {"name": "plain", "copy": [{"from": "@pulled/", "to": "@artifact/"}]}
    first = with_values("first", "@chart/", "@repo/prod.yaml", revision="@chart")
    base = {"alias": "base", "kind": "ExternalArtifact", "name": "first"}
    second = with_values("app", "@base/", "@repo/second.yaml")
    files = {
        **CHART,
        "charts/values-file.yaml": "text: file\nother: file\n",
        "prod.yaml": "text: prod\n",
        "second.yaml": "{}\n",
        "fleet/chart.yaml": helm_chart(namespace, valuesFiles=["charts/values-file.yaml"], **git),
        "fleet/charts.yaml": repository(namespace, server.url),
        "fleet/pulled.yaml": helm_chart(namespace, "pulled"),
        "fleet/first.yaml": generator(namespace, [chart, pulled, repo()], first, plain, name="first"),
        "fleet/second.yaml": generator(namespace, [base, repo()], second, name="second"),
        "fleet/app.yaml": of_artifact(namespace),
        "fleet/plain.yaml": of_artifact(namespace, "plain", "plain"),
    }
    fleet.commit(files, "charts of charts")
    agent = new_agent(fleet, "--path=fleet").start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/plain")
    assert text(kubectl, namespace) == "prod and file"
    found = external(kubectl, namespace)
    assert found["first"]["status"]["artifact"]["revision"] == "1.2.0", "the version of the HelmChart, by revision"
    assert releases.get(f"{namespace}/plain")["status"]["history"][0]["chartName"] == "app"

    # A change of the chart goes all the way, though its version stays; so does one of values at the end.
    count = agent.count
    fleet.commit({"charts/values-file.yaml": "text: file\nother: later\n"}, "another file of values")
    agent.wait_for("release upgraded", release=f"{namespace}/app", after=count)
    assert text(kubectl, namespace) == "prod and later"
    count = agent.count
    fleet.commit({"second.yaml": "text: second\n"}, "values of the second")
    agent.wait_for("release upgraded", release=f"{namespace}/app", after=count)
    assert text(kubectl, namespace) == "second and later"

    # Of one that makes nothing new the others are made on, after a restart, too.
    off = json.loads(generator(namespace, [chart, pulled, repo()], first, plain, name="first"))
    off["metadata"]["annotations"] = {"source.extensions.fluxcd.io/reconcile": "disabled"}
    commit = fleet.commit({"fleet/first.yaml": json.dumps(off)}, "the first one is left alone")
    agent.wait_for("sync finished", commit=commit[:7])
    agent.kill()
    count = agent.count
    fleet.commit({"second.yaml": "text: third\n"}, "values of the second once more")
    agent.start().wait_for("release upgraded", release=f"{namespace}/app", after=count)
    assert text(kubectl, namespace) == "third and later"

    # A circle is named, and what was made stays in use.
    circle = {"alias": "again", "kind": "ExternalArtifact", "name": "app"}
    fleet.commit(
        {"fleet/first.yaml": generator(namespace, [chart, pulled, repo(), circle], first, plain, name="first")},
        "a circle",
    )
    way = f"{namespace}/first -> {namespace}/second -> {namespace}/first"
    agent.until(
        lambda line: line.msg == "artifacts cannot be made" and way in json.dumps(dict(line.fields)), "the circle"
    )
    assert text(kubectl, namespace) == "third and later"
    assert agent.is_running
    agent.stop()


def test_commands_follow_a_chart_that_is_put_together(
    new_agent: NewAgent, fleet: Fleet, releases: Watch, namespace: str
) -> None:
    made = with_values("app", "@repo/charts/app", "@repo/prod.yaml")
    files = {
        **CHART,
        "prod.yaml": "text: prod\n",
        "fleet/generator.yaml": generator(namespace, [repo()], made),
        "fleet/app.yaml": of_artifact(namespace),
    }
    first = fleet.commit(files, "a chart with other values")
    agent = new_agent(fleet, "--path=fleet")
    here = (f"--repo={fleet.path}", "--path=fleet", "-o", "json")
    code, said, errors = agent.ended("plan", *here, f"--name={namespace}")
    assert (code, '"name": "app-text"' in said) == (2, True), f"{said}{errors}"
    code, said, errors = run(["validate", str(fleet.path / "fleet")], os.environ)
    assert (code, "warning" in said) == (0, False), said + errors
    code, said, errors = run(["verify", *here], os.environ)
    assert code == 0, f"{said}{errors}"
    (found,) = json.loads(said)["releases"]
    assert (found["release"], found["result"]) == (f"{namespace}/app", "ready")
    assert found["chart"].startswith("app-1.2.0+")

    second = fleet.commit({"prod.yaml": "text: other\n"}, "another value")
    code, said, errors = run(["diff", first, second, f"--repo={fleet.path}", "--path=fleet"], os.environ)
    assert "text: other and own" in said, f"{said}{errors}"
    fleet.commit({"prod.yaml": "text: [\n"}, "no values")
    code, said, errors = run(["validate", str(fleet.path / "fleet")], os.environ)
    assert code == 1, said + errors
    assert re.search("app.yaml:1:.* error: .*prod.yaml", said), said
    code, said, errors = run(["verify", *here], os.environ)
    assert code == 1, said + errors
    (found,) = json.loads(said)["releases"]
    assert found["result"] == "waiting"
    assert f"ArtifactGenerator '{namespace}/charts' makes nothing: " in found["message"]
