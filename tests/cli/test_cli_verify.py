"""``gitsync verify`` on a real Git repository and a real chart repository; the sandbox is the one it brings."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Gitsync, Said
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map, release, repository

Verify = Callable[..., Said]


@pytest.fixture
def fleet(tmp_path: Path, charts_url: str) -> Fleet:
    made = Fleet(tmp_path / "fleet")
    made.commit(
        {
            "charts.yaml": repository("default", charts_url),
            "app.yaml": release("default", "app", "base", values={"message": "before"}),
            "base.yaml": release("default", "base"),
            "plain.yaml": config_map("default", "plain"),
        },
        "first",
    )
    return made


@pytest.fixture
def verify(without_cluster: Gitsync) -> Gitsync:
    return partial(without_cluster, "verify")


def test_a_good_commit_passes_and_the_order_is_told(verify: Verify, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    said = verify("--junit", str(report))
    assert said.code == 0, said.out + said.err
    lines = said.out.splitlines()
    assert lines[0].split() == ["#", "RELEASE", "CHART", "RESULT", "AFTER", "OBJECTS"]
    assert lines[1].split()[:4] == ["1", "default/base", "app-1.0.0", "ready"]
    assert lines[2].split()[:4] == ["2", "default/app", "app-1.0.0", "ready"]
    assert "2 of 2 releases become ready" in lines[-1]

    suite = ElementTree.parse(report).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("3", "0")


def test_what_a_change_does_is_shown_in_markdown(verify: Verify, fleet: Fleet) -> None:
    fleet.commit({"app.yaml": release("default", "app", "base", values={"message": "after"})}, "second")
    said = verify("HEAD", "--base", "HEAD~1", "-o", "markdown")
    assert said.code == 0, said.out + said.err
    assert said.out.startswith("### ✅ gitsync verify: commit ")
    assert "| default/app | `app-1.0.0` | ready |" in said.out
    assert "-  message: before" in said.out
    assert "+  message: after" in said.out


def test_a_chart_repository_that_needs_a_secret_is_named_with_what_it_needs(verify: Verify, fleet: Fleet) -> None:
    private = repository("default", "http://127.0.0.1:9").rstrip() + "\n  secretRef: {name: login}\n"
    fleet.commit({"charts.yaml": private}, "private")
    said = verify()
    assert said.code == 1
    assert "HelmRepository/default/charts: Secret 'default/login' does not exist" in said.out
    assert "default/base" in said.out


def test_a_bad_commit_fails_and_says_what_is_wrong(verify: Verify, fleet: Fleet, tmp_path: Path) -> None:
    fleet.commit(
        {
            "base.yaml": release("default", "base", values={"image": "registry.example/app:nonexistent"}, timeout="2s"),
            "typo.yaml": release("default", "typo").replace("  values:", "  valuse:"),
            "refused.yaml": config_map("elsewhere", "Not_a_name"),
        },
        "bad",
    )
    report = tmp_path / "report.xml"
    said = verify("-o", "json", "--junit", str(report))
    assert said.code == 1
    data = json.loads(said.out)
    results = {item["release"]: (item["result"], item["message"]) for item in data["releases"]}
    assert results["default/base"][0] == "failed"
    assert "ImagePullBackOff" in results["default/base"][1]
    assert results["default/app"] == ("waiting", "dependency 'default/base' is not ready")
    assert any(problem.startswith("typo.yaml:") and "did you mean values?" in problem for problem in data["problems"])
    assert any(problem.startswith("ConfigMap/elsewhere/Not_a_name: ") for problem in data["problems"])
    assert data["assumedNamespaces"] == ["elsewhere"]

    failures = ElementTree.parse(report).getroot().findall("testcase/failure")
    assert len(failures) == 3


def test_objects_with_a_colon_in_their_name_are_among_what_a_release_holds(verify: Verify, fleet: Fleet) -> None:
    lines = release("default", "roles").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(("      chart:", "      version:", "      sourceRef:"))]
    at = kept.index("    spec:\n") + 1
    chart = "      chart: ./roles\n      sourceRef: {kind: GitRepository, name: flux-system}\n"
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: 'system:redis:reader'}\n"
    fleet.commit(
        {
            "roles.yaml": "".join([*kept[:at], chart, *kept[at:]]),
            "roles/Chart.yaml": "apiVersion: v2\nname: roles\nversion: 1.0.0\n",
            "roles/templates/role.yaml": role,
        },
        "a role",
    )
    said = verify("-o", "json")
    assert said.code == 0, said.out + said.err
    held = {item["release"]: item["objects"] for item in json.loads(said.out)["releases"]}
    assert held["default/roles"] == ["ClusterRole/system:redis:reader"]


def test_what_is_tried_need_not_be_signed(verify: Verify, fleet: Fleet) -> None:
    own = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "spec": {
            "interval": "1m",
            "url": "ssh://git@git.example/team/fleet",
            "verify": {"mode": "HEAD", "secretRef": {"name": "keys"}},
        },
    }
    fleet.commit({"own.yaml": json.dumps(own)}, "verify")
    fleet.commit({"plain.yaml": config_map("default", "plain", "other")}, "not signed")
    said = verify("HEAD", "--base", "HEAD~1")
    assert said.code == 0, said.out + said.err
