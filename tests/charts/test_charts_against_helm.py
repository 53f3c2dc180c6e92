"""What gitsync renders and would record, held against what the real Helm writes into a real cluster."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gitsync.charts import Capabilities, Charts, ReleaseContext
from gitsync.charts.serve import files_below
from gitsync.charts.source import archive_from_files
from gitsync.spool import Body
from tests.charts.build import from_files
from tests.charts.cases import CASES, DATA
from tests.controlplane.cluster import Cli, Cluster


@pytest.fixture(scope="session")
def capabilities(control_plane: Cluster) -> Capabilities:
    """What discovery says, read with four lines of our own."""
    found: list[tuple[str, str, str]] = []
    groups = control_plane.request("GET", "/apis")["groups"]
    versions = [f"/apis/{version['groupVersion']}" for group in groups for version in group["versions"]]
    for path in ["/api/v1", *versions]:
        listed = control_plane.request("GET", path)
        group, _, version = listed["groupVersion"].rpartition("/")
        found += [(group, version, kind) for kind in ["", *(each["kind"] for each in listed["resources"])]]
    return Capabilities.of(control_plane.request("GET", "/version")["gitVersion"], found)


def record_of(control_plane: Cluster, namespace: str, release: str, revision: int = 1) -> dict[str, Any]:
    secret = control_plane.request(
        "GET", f"/api/v1/namespaces/{namespace}/secrets/sh.helm.release.v1.{release}.v{revision}"
    )
    zipped = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    record: dict[str, Any] = json.loads(gzip.decompress(zipped))
    return record


@pytest.mark.parametrize("case", CASES)
async def test_manifest_hooks_notes_and_chart_equal_helms_record(
    case: str,
    charts: Charts,
    control_plane: Cluster,
    helm_cli: Cli,
    namespace: str,
    capabilities: Capabilities,
    tmp_path: Path,
) -> None:
    folder, values = CASES[case]
    archive = tmp_path / "chart.tgz"
    archive.write_bytes(archive_from_files(files_below(folder)))
    given = tmp_path / "values.json"
    given.write_text(json.dumps(values))
    helm_cli("install", "demo", str(archive), "--namespace", namespace, "--values", str(given), "--no-hooks")
    record = record_of(control_plane, namespace, "demo")

    chart = await charts.from_archive(Body.opened(archive))
    rendered = await charts.render(
        chart,
        values,
        ReleaseContext("demo", namespace),
        capabilities=capabilities,
        access={"kubeconfig_path": str(control_plane.kubeconfig)},
    )

    assert rendered.manifest == record["manifest"]
    assert [hook.record() for hook in rendered.hooks] == record.get("hooks", [])
    assert rendered.notes == record["info"].get("notes", "")
    assert json.loads(json.dumps(rendered.chart_record)) == record["chart"]


async def test_crds_are_those_that_helm_installs(charts: Charts, helm_cli: Cli, kubectl: Cli, namespace: str) -> None:
    chart = await from_files(charts, files_below(DATA / "crds"), "crds")
    rendered = await charts.render(chart, {}, ReleaseContext("demo", namespace))

    helm_cli("install", "demo", str(DATA / "crds"), "--namespace", namespace)

    assert [crd["metadata"]["name"] for crd in rendered.crds] == ["widgets.charts.example", "gadgets.charts.example"]
    kubectl("get", "crd", *(crd["metadata"]["name"] for crd in rendered.crds))
