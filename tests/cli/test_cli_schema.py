"""The JSON schemas of our kinds, as a program sees them that checks files by schemas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gitsync.api.crds import kinds
from gitsync.cli import main
from tests.cli.repositories import release
from tests.docs.markdown import ROOT
from tests.yamls import documents

CHECKER = Path(sys.executable).with_name("check-jsonschema")
#: Overlays hold patches, which are no whole objects.
SAMPLES = sorted({*(ROOT / "sample-repo").glob("**/*.yaml")} - {*(ROOT / "sample-repo").glob("*/production/*.yaml")})


def checked(schema: Path, *files: Path) -> tuple[int, str]:
    done = subprocess.run(
        [CHECKER, "--schemafile", schema, *files], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("schemas")
    assert main(["schema", "--directory", str(directory)]) == 0
    return directory


def objects() -> dict[tuple[str, str, str], list[object]]:
    """What the sample repository has of our kinds, by group, version and kind."""
    found: dict[tuple[str, str, str], list[object]] = {}
    for file in SAMPLES:
        if "templates" in file.parts:
            continue
        for item in documents(file):
            if isinstance(item, dict) and "kind" in item and "apiVersion" in item:
                group, _, version = str(item["apiVersion"]).partition("/")
                found.setdefault((group, version, str(item["kind"])), []).append(item)
    return {kind: items for kind, items in found.items() if kind[::2] in kinds()}


def test_the_sample_repository_is_right_by_the_schema_of_each_kind_and_by_that_of_all(
    schemas: Path, tmp_path: Path
) -> None:
    found = objects()
    assert {kind for _, _, kind in found} >= {"HelmRelease", "HelmRepository", "Kustomization"}
    for (group, version, kind), items in found.items():
        files = []
        for number, item in enumerate(items):
            files.append(tmp_path / f"{kind}-{number}.json")
            files[-1].write_text(json.dumps(item, default=str))
        for schema in (schemas / group / f"{kind.lower()}_{version}.json", schemas / "all.json"):
            assert checked(schema, *files) == (0, "ok -- validation done\n")


def test_a_field_that_does_not_exist_is_an_error_and_an_object_of_another_kind_is_none(
    schemas: Path, tmp_path: Path
) -> None:
    wrong, other = tmp_path / "wrong.yaml", tmp_path / "other.yaml"
    wrong.write_text(release("a").replace("  interval:", "  dependOn: []\n  interval:"))
    other.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {spec: x}\n")
    code, said = checked(schemas / "all.json", wrong)
    assert code == 1
    assert "'dependOn' was unexpected" in said
    assert checked(schemas / "all.json", other)[0] == 0


def test_values_are_whatever_a_chart_takes(schemas: Path, tmp_path: Path) -> None:
    file = tmp_path / "release.yaml"
    file.write_text(release("a").replace("  interval:", "  values: {any: {thing: [1, {deep: true}]}}\n  interval:"))
    assert checked(schemas / "helm.toolkit.fluxcd.io" / "helmrelease_v2.json", file) == (
        0,
        "ok -- validation done\n",
    )


def test_one_kind_is_printed_in_its_newest_version_by_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "helmrelease"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["properties"]["apiVersion"] == {"const": "helm.toolkit.fluxcd.io/v2"}


def test_a_kind_that_is_not_served_is_named_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "Deployment"]) == 1
    said = capsys.readouterr().err
    assert "there is no kind 'Deployment'" in said
    assert all(kind in said for _, kind in kinds())
