from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.crds import crds, kinds, rendered
from tests.yamls import documents

FILES = Path(__file__).parents[2] / "config" / "crds"
KINDS = [kind for _, kind in kinds()]


@functools.cache
def definitions() -> dict[str, dict[str, Any]]:
    """The CustomResourceDefinitions by kind."""
    return {crd["spec"]["names"]["kind"]: crd for crd in crds()}


def schemas(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a schema, with its path."""
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from schemas(field, f"{path}.{name}")
    if "items" in node:
        yield from schemas(node["items"], f"{path}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from schemas(node["additionalProperties"], f"{path}.*")


def schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = definitions()[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def at(kind: str, path: str) -> dict[str, Any]:
    return dict(schemas(schema(kind)))[path]


def test_the_files_are_current() -> None:
    """After a change of the models: python -m gitsync.api.crds config/crds."""
    expected = {f"{crd['spec']['group']}_{crd['spec']['names']['plural']}.yaml": rendered(crd) for crd in crds()}
    assert {path.name: path.read_text(encoding="utf-8") for path in FILES.glob("*.yaml")} == expected


def test_the_files_say_what_the_models_say() -> None:
    read = {crd["metadata"]["name"]: crd for crd in (documents(path)[0] for path in FILES.glob("*.yaml"))}
    assert read == {crd["metadata"]["name"]: crd for crd in crds()}


def test_the_module_writes_the_files(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "gitsync.api.crds", tmp_path / "new"], check=True)
    assert {path.name: path.read_text() for path in (tmp_path / "new").iterdir()} == {
        path.name: path.read_text() for path in FILES.glob("*.yaml")
    }


@pytest.mark.parametrize(
    ("kind", "versions", "plural", "short", "columns"),
    [
        ("HelmRelease", "v2 v2beta2 v2beta1", "helmreleases", "hr", "Age Ready Status"),
        ("HelmRepository", "v1 v1beta2 v1beta1", "helmrepositories", "helmrepo", "URL Age Ready Status"),
        ("GitRepository", "v1 v1beta2 v1beta1", "gitrepositories", "gitrepo", "URL Age Ready Status"),
        ("OCIRepository", "v1 v1beta2", "ocirepositories", "ocirepo", "URL Ready Status Age"),
        ("ArtifactGenerator", "v1beta1", "artifactgenerators", "ag", "Age Ready Status"),
        (
            "HelmChart",
            "v1 v1beta2 v1beta1",
            "helmcharts",
            "hc",
            "Chart Version Source-Kind Source-Name Age Ready Status",
        ),
    ],
)
def test_versions_names_and_columns_are_fluxs(kind: str, versions: str, plural: str, short: str, columns: str) -> None:
    spec = definitions()[kind]["spec"]
    names = spec["names"]
    assert [version["name"] for version in spec["versions"]] == versions.split()
    assert [version["storage"] for version in spec["versions"]] == [True] + [False] * (len(spec["versions"]) - 1)
    assert all(version["served"] and version["subresources"] == {"status": {}} for version in spec["versions"])
    assert (names["plural"], names["shortNames"], names["listKind"]) == (plural, [short], f"{kind}List")
    for version in spec["versions"]:
        shown = [column["name"].replace(" ", "-") for column in version["additionalPrinterColumns"]]
        assert shown == columns.split()


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_structural(kind: str) -> None:
    for path, node in schemas(schema(kind)):
        assert not {"$ref", "anyOf", "allOf", "title", "const", "$defs"} & set(node), path
        assert "type" in node or node.get("x-kubernetes-preserve-unknown-fields"), path
        assert "default" not in node or path == ".status", path


@pytest.mark.parametrize("kind", KINDS)
def test_all_fields_of_the_specs_are_described(kind: str) -> None:
    named = [(path, node) for path, node in schemas(schema(kind)) if path.startswith(".spec") and path[-1] not in "]*"]
    assert [path for path, node in named if not node.get("description")] == []


def flux_fields() -> list[tuple[str, str]]:
    """Kinds of sources, and the fields of their specs, in source-controller 1.9.1 and source-watcher 2.2.1."""
    lines = (Path(__file__).parent / "flux_source_fields.txt").read_text().splitlines()
    return [(kind, field) for kind, _, field in (line.split() for line in lines)]


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in flux_fields()}))
def test_no_field_that_flux_has_of_a_source_is_dropped_by_the_api_server(kind: str) -> None:
    """docs/sources.md and docs/helmrelease.md say what becomes of each, which tests/docs holds."""
    known = dict(schemas(schema(kind)["properties"]["spec"]))

    def is_kept(path: str) -> bool:
        above = path.rpartition(".")[0]
        keeps_all = known.get(above, {}).get("x-kubernetes-preserve-unknown-fields", False)
        return path in known or bool(above and keeps_all)

    assert [field for of, field in flux_fields() if of == kind and not is_kept(f".{field}")] == []


def test_validation_is_in_the_schema() -> None:
    spec = at("HelmRelease", ".spec")
    assert spec["required"] == ["interval"]
    assert spec["properties"]["interval"]["pattern"] == r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
    assert spec["properties"]["releaseName"]["maxLength"] == 53
    assert spec["x-kubernetes-validations"][0]["rule"] == "has(self.chart) != has(self.chartRef)"
    assert at("HelmRelease", ".spec.install.crds")["enum"] == ["Skip", "Create", "CreateReplace"]
    assert at("HelmRelease", ".spec.values")["x-kubernetes-preserve-unknown-fields"] is True
    assert at("HelmRelease", ".spec.dependsOn[]")["required"] == ["name"]
    assert at("HelmRelease", ".spec.chart.spec")["required"] == ["chart", "sourceRef"]
    assert at("HelmRelease", ".status.lastHandledCommit")["type"] == "string"
    assert at("HelmRelease", ".status")["default"] == {"observedGeneration": -1}
    assert at("HelmRepository", ".spec.url")["pattern"] == "^(http|https|oci)://.*$"


def test_callers_get_copies_of_their_own() -> None:
    crds()[0]["spec"]["versions"][0]["additionalPrinterColumns"][0]["name"] = "Changed"
    assert crds()[0]["spec"]["versions"][0]["additionalPrinterColumns"][0]["name"] == "Age"
