"""``gitsync verify`` does not wait for what nobody brings to a sandbox, but for what a release of the commit brings."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Gitsync, Said
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map, release, repository

#: Far beyond what any of these may take.
LONG = ("--timeout", "10m")
FIRST = "  timeout: 1m\n"
KUSTOMIZATION = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec: {interval: 10m, path: ./apps, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path / "fleet")


@pytest.fixture
def verify(without_cluster: Gitsync) -> Gitsync:
    return partial(without_cluster, "verify")


def results(said: Said) -> dict[str, tuple[str, str]]:
    """Result and message by release; also holds that it was quick."""
    data: dict[str, Any] = json.loads(said.out)
    assert data["took"] < 60
    return {item["release"]: (item["result"], item["message"]) for item in data["releases"]}


def with_spec(manifest: str, **fields: str) -> str:
    """A release with more fields in its spec, as YAML."""
    return manifest.replace(FIRST, FIRST + "".join(f"  {name}: {text}\n" for name, text in fields.items()))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (
            {"valuesFrom": "[{kind: Secret, name: login}]"},
            "Secret 'default/login' key 'values.yaml' does not exist",
        ),
        (
            {"valuesFrom": "[{kind: ConfigMap, name: plain, valuesKey: other}]"},
            "ConfigMap 'default/plain' key 'other' does not exist",
        ),
        ({"serviceAccountName": "deployer"}, "ServiceAccount 'default/deployer' does not exist"),
        ({"kubeConfig": "{secretRef: {name: elsewhere}}"}, "Secret 'default/elsewhere' does not exist"),
    ],
)
def test_an_object_that_the_commit_does_not_bring_is_named_and_not_waited_for(
    verify: Gitsync, fleet: Fleet, charts_url: str, fields: dict[str, str], why: str
) -> None:
    fleet.commit(
        {
            "charts.yaml": repository("default", charts_url),
            "plain.yaml": config_map("default", "plain"),
            "lacks.yaml": with_spec(release("default", "lacks"), **fields),
            "waits.yaml": release("default", "waits", "lacks"),
            "fine.yaml": release("default", "fine"),
        },
        "first",
    )
    said = verify(*LONG, "-o", "json")
    assert said.code == 1
    assert results(said) == {
        "default/fine": ("ready", results(said)["default/fine"][1]),
        "default/lacks": ("waiting", why),
        "default/waits": ("waiting", "dependency 'default/lacks' is not ready"),
    }


def test_sources_that_are_not_there_or_not_served_are_not_waited_for(verify: Gitsync, fleet: Fleet) -> None:
    chart = release("default", "oci").partition("  chart:\n")[0] + "  chartRef: {kind: OCIRepository, name: app}\n"
    registry = (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nmetadata: {name: app, namespace: default}\n"
        "spec: {interval: 1h, url: 'oci://registry.example/app', verify: {provider: cosign}}\n"
    )
    other = release("default", "git").replace("kind: HelmRepository, name: charts", "kind: GitRepository, name: other")
    fleet.commit(
        {
            "missing.yaml": release("default", "missing"),
            "oci.yaml": chart,
            "registry.yaml": registry,
            "git.yaml": other,
            "nothing.yaml": release("default", "nothing", "nosuch"),
        },
        "first",
    )
    said = verify(*LONG, "-o", "json")
    assert said.code == 1
    found = results(said)
    assert {phase for phase, _ in found.values()} == {"waiting"}
    assert found["default/missing"][1] == "HelmRepository 'default/charts' does not exist"
    assert found["default/oci"][1].startswith(
        "OCIRepository 'default/app' cannot be read: spec.verify.matchOIDCIdentity: without it"
    )
    assert found["default/git"][1].startswith("GitRepository 'default/other' does not exist")
    assert found["default/nothing"][1].startswith("dependency 'default/nosuch' does not exist; add that HelmRelease")


def test_a_helmchart_stands_for_its_chart_and_one_that_cannot_be_had_is_not_waited_for(
    verify: Gitsync, fleet: Fleet, charts_url: str
) -> None:
    def by_reference(name: str, chart: str) -> str:
        head = release("default", name).partition("  chart:\n")[0]
        return head + f"  chartRef: {{kind: HelmChart, name: {chart}}}\n"

    def helm_chart(name: str, source: str, more: str = "") -> str:
        return (
            "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmChart\n"
            f"metadata: {{name: {name}, namespace: default}}\n"
            f"spec: {{interval: 1h, chart: app, sourceRef: {{kind: HelmRepository, name: {source}}}{more}}}\n"
        )

    fleet.commit(
        {
            "charts.yaml": repository("default", charts_url),
            "good.yaml": helm_chart("good", "charts"),
            "lost.yaml": helm_chart("lost", "nosuch"),
            "suspended.yaml": helm_chart("suspended", "charts", ", suspend: true"),
            **{f"of-{name}.yaml": by_reference(name, name) for name in ("good", "lost", "suspended", "none")},
        },
        "first",
    )
    said = verify(*LONG, "-o", "json")
    assert said.code == 1
    found = results(said)
    assert found["default/good"][0] == "ready"
    assert found["default/lost"][1] == (
        "HelmChart 'default/lost' cannot be had: HelmRepository 'default/nosuch' does not exist"
    )
    assert found["default/suspended"][1] == "HelmChart 'default/suspended' is suspended, and was not read before"
    assert found["default/none"][1] == "HelmChart 'default/none' does not exist"


def test_a_suspended_repository_is_not_waited_for(verify: Gitsync, fleet: Fleet, charts_url: str) -> None:
    suspended = repository("default", charts_url).rstrip() + "\n  suspend: true\n"
    fleet.commit({"charts.yaml": suspended, "app.yaml": release("default", "app")}, "suspended")
    said = verify(*LONG, "-o", "json")
    assert said.code == 1
    why = "HelmRepository 'default/charts' is suspended, and was not read before"
    assert results(said) == {"default/app": ("waiting", why)}


def test_an_object_that_nobody_gives_a_status_is_not_waited_for(verify: Gitsync, fleet: Fleet, charts_url: str) -> None:
    source = (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: ExternalArtifact\nmetadata: {name: fleet, namespace: default}\n"
        "spec: {}\n"
    )
    files = {"charts.yaml": repository("default", charts_url), "app.yaml": release("default", "app")}
    fleet.commit({**files, "git.yaml": source}, "first")
    said = verify(*LONG, "-o", "json")
    assert said.code == 0, said.out + said.err
    assert results(said)["default/app"][0] == "ready"


def test_kustomizations_that_do_not_become_ready_are_named_with_their_place(verify: Gitsync, fleet: Fleet) -> None:
    fleet.commit({"apps.yaml": KUSTOMIZATION}, "apps")
    said = verify(*LONG)
    assert said.code == 1
    assert "Kustomization flux-system/apps (apps.yaml:1:1): " in said.out
    assert "0 of 1 Kustomizations become ready" in said.out


def test_a_repository_whose_login_is_missing_is_not_waited_for(verify: Gitsync, fleet: Fleet) -> None:
    private = repository("default", "http://127.0.0.1:9").rstrip() + "\n  secretRef: {name: login}\n"
    fleet.commit({"charts.yaml": private, "app.yaml": release("default", "app")}, "private")
    said = verify(*LONG, "-o", "json")
    assert said.code == 1
    why = "Secret 'default/login' does not exist"
    assert results(said)["default/app"] == ("waiting", f"HelmRepository 'default/charts' cannot be read: {why}")
    assert f"HelmRepository/default/charts: {why}" in json.loads(said.out)["problems"]


def test_a_source_whose_server_does_not_answer_is_not_waited_for(verify: Gitsync, fleet: Fleet) -> None:
    head = "apiVersion: source.toolkit.fluxcd.io/v1\nmetadata: {name: other, namespace: default}\n"
    git = f"{head}kind: GitRepository\nspec: {{interval: 1h, url: 'http://127.0.0.1:9/fleet', ref: {{branch: main}}}}\n"
    oci = f"{head}kind: OCIRepository\nspec: {{interval: 1h, url: 'oci://127.0.0.1:9/app', insecure: true}}\n"
    chart = release("default", "oci").partition("  chart:\n")[0] + "  chartRef: {kind: OCIRepository, name: other}\n"
    fleet.commit(
        {
            "charts.yaml": repository("default", "http://127.0.0.1:9"),
            "helm.yaml": release("default", "helm"),
            "other.yaml": f"{git}---\n{oci}",
            "git.yaml": release("default", "git").replace("HelmRepository, name: charts", "GitRepository, name: other"),
            "oci.yaml": chart,
            "apps.yaml": KUSTOMIZATION.replace("name: flux-system}}", "name: other, namespace: default}}"),
        },
        "away",
    )
    said = verify(*LONG, "-o", "json")
    assert said.code == 1
    found = results(said)
    assert {phase for phase, _ in found.values()} == {"waiting"}
    for name, kind in (("helm", "HelmRepository"), ("git", "GitRepository"), ("oci", "OCIRepository")):
        assert found[f"default/{name}"][1].startswith(f"{kind} 'default/"), found
        assert "cannot be read: " in found[f"default/{name}"][1]


def test_what_another_release_of_the_commit_brings_is_waited_for(
    verify: Gitsync, fleet: Fleet, charts_url: str
) -> None:
    """The chart of ``brings`` has a ConfigMap of its name, which is there only once its dependency is ready."""
    reads = with_spec(release("default", "reads"), valuesFrom="[{kind: ConfigMap, name: brings, valuesKey: message}]")
    fleet.commit(
        {
            "charts.yaml": repository("default", charts_url),
            "slow.yaml": release("default", "slow", values={"workload": True}),
            "brings.yaml": release("default", "brings", "slow", values={"message": "message: from the other"}),
            "reads.yaml": reads,
        },
        "first",
    )
    said = verify(*LONG, "-o", "json")
    assert said.code == 0, said.out + said.err
    assert {phase for phase, _ in results(said).values()} == {"ready"}


def test_problems_of_the_base_commit_are_told_apart(verify: Gitsync, fleet: Fleet, charts_url: str) -> None:
    charts = repository("default", charts_url)
    broken = release("default", "app").replace("  values:", "  valuse:")
    fleet.commit({"charts.yaml": charts, "app.yaml": broken, "lost.yaml": release("other", "lost")}, "broken")
    fleet.commit({"charts.yaml": charts, "app.yaml": release("default", "app"), "lost.yaml": None}, "fixed")
    said = verify("--base", "HEAD~1", *LONG, "-o", "json")
    assert said.code == 0, said.out + said.err
    data = json.loads(said.out)
    assert (data["passed"], data["problems"]) == (True, [])
    assert len(data["base"]["problems"]) == 2, data["base"]["problems"]
    first, second = data["base"]["problems"]
    assert first.startswith("app.yaml:")
    assert "did you mean values?" in first
    assert second == "other/lost (lost.yaml:1:1): HelmRepository 'other/charts' does not exist"
    assert [problem["hint"] for problem in data["changeProblems"]] == ["in the older commit"] * 2

    text = verify("--base", "HEAD~1", *LONG)
    assert text.code == 0
    assert f"The base commit {data['base']['commit'][:7]} has problems of its own:\n{first}\n" in text.out
