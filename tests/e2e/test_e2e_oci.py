"""Releases of charts in a real registry: by OCIRepository and chartRef, and by HelmRepository of type oci."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli
from tests.controlplane.registry import PASSWORD, Registry
from tests.e2e import helm
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.registries import (
    Charts,
    by_account,
    by_name,
    by_reference,
    helm_repository,
    oci_repository,
    secrets,
    source,
    text,
    until_ready,
)
from tests.e2e.watching import Now, Watch, condition
from tests.forked import run
from tests.until import ask_until


@pytest.fixture
def charts(registry: Registry, namespace: str, tmp_path: Path) -> Charts:
    return Charts(registry, namespace, tmp_path)


def test_a_chart_by_reference_is_installed_and_upgraded_by_a_new_tag_in_its_range(
    agent: AgentProcess,
    fleet: Fleet,
    charts: Charts,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
) -> None:
    digest = charts.push("1.0.0", "one")
    charts.push("2.0.0", "out of range")
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"semver": "1.x"}, interval="1s"),
            "app.yaml": by_reference(namespace, "app"),
            "next.yaml": by_reference(namespace, "next", dependsOn=[{"name": "app"}]),
        },
        "apps out of a registry",
    )
    agent.start()
    until_ready(releases, f"{namespace}/app", f"{namespace}/next")
    assert text(kubectl, namespace) == "one"
    (row,) = [row for row in json.loads(helm_cli("list", "-n", namespace, "-o", "json")) if row["name"] == "app"]
    assert row["chart"] == f"app-1.0.0+{digest[7:19]}"
    status = source(kubectl, namespace)["status"]
    assert status["artifact"]["revision"] == f"1.0.0@{digest}"
    assert status["observedGeneration"] == 1
    ready, stored = (condition({"status": status}, kind) for kind in ("Ready", "ArtifactInStorage"))
    said = ("True", "Succeeded", f"stored artifact for digest '1.0.0@{digest}'")
    assert [(item["status"], item["reason"], item["message"]) for item in (ready, stored)] == [said, said]

    charts.push("1.1.0", "two")
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    agent.wait_for("release upgraded", release=f"{namespace}/next")
    assert text(kubectl, namespace) == "two"
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 2), "next": ("deployed", 2)}
    assert PASSWORD not in agent.log


def test_a_tag_that_moves_to_another_digest_of_the_same_version_upgrades(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    first = charts.push("1.0.0", "first")
    files = {
        "secrets.yaml": secrets(namespace, charts.registry),
        "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "1.0.0"}, interval="1s"),
        "app.yaml": by_reference(namespace, "app"),
    }
    fleet.commit(files, "an app")
    agent.start()
    until_ready(releases, f"{namespace}/app")

    second = charts.push("1.0.0", "second")
    assert first != second
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert text(kubectl, namespace) == "second"
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "deployed")]
    status = json.loads(kubectl("get", "helmrelease", "app", "-n", namespace, "-o", "json"))["status"]
    assert [item["chartVersion"] for item in status["history"]] == [f"1.0.0+{it[7:19]}" for it in (second, first)]
    assert [item["ociDigest"] for item in status["history"]] == [second, first]
    assert status["lastAttemptedRevisionDigest"] == second


def test_a_commit_that_names_another_tag_changes_source_and_release_in_order(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    charts.push("1.0.0", "one")
    pinned = charts.push("2.0.0", "two")
    files = {
        "secrets.yaml": secrets(namespace, charts.registry),
        "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "1.0.0"}),
        "app.yaml": by_reference(namespace, "app"),
    }
    fleet.commit(files, "an app")
    agent.start()
    until_ready(releases, f"{namespace}/app")
    # The digest wins over the tag beside it. One upgrade, to the new chart with the new values.
    ref = {"tag": "1.0.0", "digest": pinned}
    changed = {
        "source.yaml": oci_repository(namespace, charts.url, ref=ref),
        "app.yaml": by_reference(namespace, "app", values={"message": "new"}),
    }
    agent.wait_for("sync finished", commit=fleet.commit(changed, "by digest")[:7])
    assert text(kubectl, namespace) == "two"
    assert helm.history(helm_cli, namespace, "app") == [(1, "superseded"), (2, "deployed")]
    assert source(kubectl, namespace)["status"]["artifact"]["revision"] == pinned


def test_a_restart_needs_no_registry_for_what_was_fetched_before(
    new_agent: NewAgent, fleet: Fleet, tmp_path: Path, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    registry = Registry(tmp_path / "own", binaries.ensure(binaries.REGISTRY), binaries.ensure(binaries.HELM)).start()
    try:
        own = Charts(registry, "charts", tmp_path)
        own.push("1.0.0", "one")
        fleet.commit(
            {
                "secrets.yaml": secrets(namespace, registry),
                "source.yaml": oci_repository(namespace, own.url, ref={"tag": "1.0.0"}),
                "app.yaml": by_reference(namespace, "app"),
            },
            "an app",
        )
        agent = new_agent(fleet).start()
        until_ready(releases, f"{namespace}/app")
        agent.wait_for("sync finished")
        agent.stop()
    finally:
        registry.stop()
    # While the registry is away, a change of the release itself is carried out with the chart that is kept.
    agent.start()
    agent.wait_for("artifact cannot be read", repository=f"{namespace}/app")
    fleet.commit({"app.yaml": by_reference(namespace, "app", values={"message": "new"})}, "new values")
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert helm.listed(helm_cli, namespace) == {"app": ("deployed", 2)}


def test_a_source_of_many_releases_is_asked_once(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, namespace: str
) -> None:
    charts.push("1.0.0", "one")
    names = [f"app-{number}" for number in range(12)]
    source_file = oci_repository(namespace, charts.url, ref={"semver": "*"}, secretRef={"name": "login"})
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": source_file,
            **{f"{name}.yaml": by_reference(namespace, name) for name in names},
        },
        "many",
    )
    agent.start()
    until_ready(releases, *(f"{namespace}/{name}" for name in names))
    asked = [line for line in charts.registry.log.splitlines() if f"/v2/{namespace}/app/" in line]
    got = [
        line for line in asked if '"http.request.useragent":"gitsync"' in line and '"http.response.status":200' in line
    ]
    assert sum("/tags/list" in line for line in got) == 1
    assert sum("/blobs/" in line for line in got) == 1


@pytest.mark.parametrize("account", [False, True], ids=["secretRef", "imagePullSecrets"])
def test_a_helm_repository_of_type_oci_serves_charts_by_their_tags(
    agent: AgentProcess,
    fleet: Fleet,
    charts: Charts,
    releases: Watch,
    helm_cli: Cli,
    kubectl: Cli,
    namespace: str,
    account: bool,
) -> None:
    charts.push("1.0.0", "one")
    charts.push("1.1.0-rc.1", "a prerelease")
    if account:  # and an OCIRepository of the same chart, with the login of a ServiceAccount
        own = by_account(namespace, charts.url)
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": own if account else helm_repository(namespace, charts),
            "app.yaml": by_reference(namespace, "app") if account else by_name(namespace, "app", ">=1.0.0"),
        },
        "an app",
    )
    agent.start()
    until_ready(releases, f"{namespace}/app")
    assert text(kubectl, namespace) == "one"
    agent.wait_for("sync finished", commit=fleet.head[:7])
    if account:
        return
    repository = json.loads(kubectl("get", "helmrepository", "charts", "-n", namespace, "-o", "json"))
    assert not (repository.get("status") or {}).get("conditions")
    said = agent.command("reconcile", "source", "helm", "charts", "-n", namespace)
    assert "says how a registry is reached" in said

    charts.push("1.2.0", "two")
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert text(kubectl, namespace) == "two"
    (row,) = json.loads(helm_cli("list", "-n", namespace, "-o", "json"))
    assert row["chart"] == "app-1.2.0"
    assert PASSWORD not in agent.log


def test_a_plan_and_commands_know_it(
    agent: AgentProcess, fleet: Fleet, charts: Charts, releases: Watch, kubectl: Cli, namespace: str
) -> None:
    digest = charts.push("1.0.0", "one")
    kubectl("apply", "-f", "-", stdin=secrets(namespace, charts.registry))
    fleet.commit(
        {
            "source.yaml": oci_repository(namespace, charts.url, ref={"semver": "1.x"}),
            "app.yaml": by_reference(namespace, "app"),
        },
        "an app",
    )
    code, plan, errors = agent.ended("plan", f"--repo={fleet.path}", f"--name={namespace}", "-o", "json")
    assert (code, '"name": "app-text"' in plan) == (2, True), f"{plan}{errors}"
    code, said, errors = run(["validate", str(fleet.path)], os.environ)
    assert code == 0, errors
    assert "warning: not checked: this repository needs a Secret of the cluster" in said
    agent.start()
    until_ready(releases, f"{namespace}/app")
    row = agent.command("get", "sources", "oci", "-n", namespace).splitlines()[1].split()
    assert row[:4] == ["app", f"1.0.0@sha256:{digest[7:15]}", "False", "True"]
    agent.command("suspend", "source", "oci", "app", "-n", namespace)
    charts.push("1.1.0", "two")
    code, _, errors = agent.ended("reconcile", "source", "oci", "app", "-n", namespace)
    assert code == 1
    assert "is suspended" in errors
    agent.command("resume", "source", "oci", "app", "-n", namespace)
    agent.wait_for("release upgraded", release=f"{namespace}/app")
    assert 'semver: "1.x"' in agent.command("export", "source", "oci", "app", "-n", namespace)


def test_a_commit_is_verified_with_charts_out_of_a_registry(
    agent: AgentProcess, fleet: Fleet, charts: Charts, namespace: str
) -> None:
    digest = charts.push("1.0.0", "one")
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"semver": "1.x"}),
            "repository.yaml": helm_repository(namespace, charts),
            "app.yaml": by_reference(namespace, "app"),
            "named.yaml": by_name(namespace, "named", "1.0.0"),
        },
        "apps",
    )
    code, said, errors = run(["verify", f"--repo={fleet.path}", "-o", "json"], os.environ)
    assert code == 0, f"{said}{errors}"
    found = {item["release"]: (item["result"], item["chart"]) for item in json.loads(said)["releases"]}
    version = f"app-1.0.0+{digest[7:19]}"
    assert found == {f"{namespace}/app": ("ready", version), f"{namespace}/named": ("ready", "app-1.0.0")}
    assert PASSWORD not in said + errors


def test_a_record_that_says_nothing_but_the_version_is_taken_over_as_it_is(
    new_agent: NewAgent, fleet: Fleet, charts: Charts, releases: Watch, helm_cli: Cli, kubectl: Cli, namespace: str
) -> None:
    charts.push("1.0.0", "one")
    fleet.commit(
        {
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "1.0.0"}),
            "app.yaml": by_reference(namespace, "app"),
        },
        "an app",
    )
    agent = new_agent(fleet).start()
    until_ready(releases, f"{namespace}/app")
    agent.stop()
    # Without gitsync's notes the record is as helm-controller would have written it: with the same version.
    record = ("secret", "sh.helm.release.v1.app.v1", "-n", namespace)
    kubectl("annotate", *record, "gitsync.dev/chart-digest-", "gitsync.dev/values-digest-")
    agent.start()
    noted = partial(kubectl, "get", *record, "-o", "jsonpath={.metadata.annotations}")
    ask_until(noted, lambda said: "gitsync.dev/chart-digest" in said, "the record is taken over")
    assert helm.history(helm_cli, namespace, "app") == [(1, "deployed")]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_source_of_another_namespace_is_used_as_far_as_settings_allow(
    new_agent: NewAgent, fleet: Fleet, charts: Charts, releases: Watch, namespace: str, allowed: bool
) -> None:
    charts.push("1.0.0", "one")
    other = f"{namespace}-other"
    reference = {"kind": "OCIRepository", "name": "app", "namespace": namespace}
    fleet.commit(
        {
            "namespace.yaml": json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}),
            "secrets.yaml": secrets(namespace, charts.registry),
            "source.yaml": oci_repository(namespace, charts.url, ref={"tag": "1.0.0"}),
            "app.yaml": by_reference(other, "app", chartRef=reference),
        },
        "from elsewhere",
    )
    new_agent(fleet, *([] if allowed else ["--no-cross-namespace-refs"])).start()
    if allowed:
        until_ready(releases, f"{other}/app")
        return

    def refused(now: Now) -> bool:
        ready = condition(now.get(f"{other}/app") or {}, "Ready")
        said = f"spec.chartRef: cross-namespace references are not allowed: cannot access OCIRepository/{namespace}/app"
        return ready.get("reason") == "AccessDenied" and said in ready["message"]

    releases.until(refused, "the reference is refused")
