"""``gitsync verify`` of a whole tree: a repository of Flux, with infrastructure and applications, in the sandbox."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import Gitsync
from tests.e2e.fluxrepositories import config_map, kustomization, repository
from tests.e2e.harness import Fleet


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet(tmp_path / "fleet")
    made.commit(repository("web"), "as it is")
    return made


@pytest.fixture
def verify(without_cluster: Gitsync) -> Gitsync:
    return partial(without_cluster, "verify", "--path", "clusters/prod")


def results(data: dict[str, Any]) -> dict[str, str]:
    """By Kustomization and release, the result."""
    found = [(item["kustomization"], item["result"]) for item in data["kustomizations"]]
    return dict([*found, *((item["release"], item["result"]) for item in data["releases"])])


def test_a_repository_of_flux_becomes_ready_in_its_order(verify: Gitsync, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    said = verify("-o", "json", "--junit", str(report))
    assert said.code == 0, said.out + said.err
    data = json.loads(said.out)
    assert results(data) == dict.fromkeys(
        ("flux-system/flux-system", "flux-system/infra", "flux-system/apps", "web/web"), "ready"
    )
    found = {item["kustomization"]: item for item in data["kustomizations"]}
    assert found["flux-system/infra"]["order"] < found["flux-system/apps"]["order"]
    assert found["flux-system/apps"]["objects"] == ["HelmRelease/web/web"]
    assert found["flux-system/apps"]["path"] == "apps/prod"
    assert data["assumedNamespaces"] == ["web"]
    assert len(ElementTree.parse(report).getroot().findall("testcase")) == 5


def test_what_only_the_operator_of_flux_makes_is_said_to_be_so_and_not_waited_for(
    verify: Gitsync, fleet: Fleet
) -> None:
    """Where a FluxInstance sets a cluster up nobody writes these; the sync of the settings stands for the
    Kustomization, and for no OCIRepository."""
    oci = {"sourceRef": {"kind": "OCIRepository", "name": "flux-system"}}
    files: dict[str, str | None] = {
        "clusters/prod/late.yaml": kustomization("late", "./infra", dependsOn=[{"name": "flux-system"}]),
        "clusters/prod/else.yaml": kustomization("else", "./infra", **oci),
        "clusters/prod/flux-system/kustomization.yaml": "resources: [gotk-components.yaml]\n",
        "clusters/prod/flux-system/gotk-sync.yaml": None,
    }
    fleet.commit(files, "an operator brings the rest")
    said = verify("--timeout", "10m")
    assert said.code == 1
    hint = "Flux's operator makes it of a FluxInstance, and gitsync does not: add it to the repository, or correct"
    assert {line.split()[3] for line in said.out.splitlines() if "flux-system/late" in line} == {"ready"}
    assert f"OCIRepository 'flux-system/flux-system' does not exist; {hint} what refers to it\n" in said.out


def test_what_fails_in_a_kustomization_is_named_with_file_and_line(verify: Gitsync, fleet: Fleet) -> None:
    fleet.edit("infra/zone.yaml", "zone ${zone:=none}", "zone ${nowhere}", "no such variable")
    said = verify("--timeout", "10m")
    assert said.code == 1
    assert "Kustomization flux-system/infra (clusters/prod/infra.yaml:1:1): infra/zone.yaml:1:" in said.out
    assert "Kustomization flux-system/apps (clusters/prod/apps.yaml:1:1): dependency 'flux-system/infra'" in said.out
    assert "1 of 3 Kustomizations become ready" in said.out


def test_a_change_is_shown_with_what_it_changes_inside(verify: Gitsync, fleet: Fleet) -> None:
    fleet.edit("clusters/prod/settings.yaml", '"green"', '"blue"', "another color")
    said = verify("HEAD", "--base", "HEAD~1")
    assert said.code == 0, said.out + said.err
    assert "~ change HelmRelease/web/web (kustomization flux-system/apps, apps/base/release.yaml:1:1)" in said.out
    assert "~ change ConfigMap/web/web (kustomization flux-system/apps, release web/web)" in said.out
    assert "3 of 3 Kustomizations and 1 of 1 releases become ready" in said.out


def test_a_namespace_that_only_what_is_in_it_brings_is_taken_for_granted(verify: Gitsync, fleet: Fleet) -> None:
    """As where Flux's operator has set up the cluster: a Kustomization in flux-system brings that Namespace, too."""
    fleet.commit(
        {
            "clusters/prod/flux-system/kustomization.yaml": None,
            "clusters/prod/flux-system/gotk-components.yaml": None,
            "clusters/prod/flux-system/gotk-sync.yaml": None,
            "clusters/prod/infra.yaml": kustomization("infra", "./infra"),
            "infra/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n",
            "infra/zone.yaml": None,
        },
        "set up by an operator",
    )
    said = verify("-o", "json")
    data = json.loads(said.out)
    assert data["assumedNamespaces"] == ["flux-system", "web"]
    assert results(data)["flux-system/infra"] == "ready"


def test_a_kustomization_that_waits_for_a_release_without_a_chart_says_so(verify: Gitsync, fleet: Fleet) -> None:
    files: dict[str, str | None] = {
        "clusters/prod/charts.yaml": kustomization("charts", "./charts/nobody", wait=False),
        "clusters/prod/late.yaml": kustomization("late", "./late", wait=True, dependsOn=[{"name": "charts"}]),
        "charts/nobody/repository.yaml": """\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: nobody, namespace: web}
spec: {interval: 5m, url: "http://127.0.0.1:9"}
""",
        "late/release.yaml": """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: late, namespace: web}
spec: {interval: 5m, chart: {spec: {chart: late, sourceRef: {kind: HelmRepository, name: nobody}}}}
""",
    }
    fleet.commit(files, "its charts are nowhere")
    said = verify("--timeout", "20s")  # its server is tried more than once
    assert said.code == 1
    (line,) = [line for line in said.out.splitlines() if line.startswith("Kustomization flux-system/late ")]
    assert ": HelmRelease/web/late: http://127.0.0.1:9/index.yaml: " in line, said.out


def test_a_kustomization_that_failed_for_what_another_brings_a_moment_later_is_looked_at_once_more(
    verify: Gitsync, fleet: Fleet
) -> None:
    """No order says that the values come first: the release that waits for them is in vain for now."""
    release = json.loads(str(repository("web")["apps/base/release.yaml"]))
    release["metadata"] = {"name": "late", "namespace": "web"}
    release["spec"]["targetNamespace"] = "default"
    release["spec"]["valuesFrom"] = [
        {"kind": "ConfigMap", "name": "colors", "valuesKey": "color", "targetPath": "color"}
    ]
    files: dict[str, str | None] = {
        "clusters/prod/late.yaml": kustomization("late", "./late", wait=True),
        "clusters/prod/colors.yaml": kustomization(
            "colors", "./colors", targetNamespace="web", dependsOn=[{"name": "apps"}]
        ),
        "late/release.yaml": json.dumps(release),
        "colors/colors.yaml": config_map("colors", color="blue"),
    }
    fleet.commit(files, "the colors come last")
    said = verify("-o", "json")
    assert said.code == 0, said.out + said.err
    assert results(json.loads(said.out))["flux-system/late"] == "ready"
