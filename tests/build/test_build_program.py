"""The program that builds: kustomize, where it is the one that kubectl has, and then it says and does the same."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitsync.errors import KustomizeError
from gitsync.kustomize import VERSION, Kustomizer, find_kubectl, find_kustomize
from tests.controlplane.binaries import KUSTOMIZE, ensure

A = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  x: '1'\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx:1.0, envFrom: [{configMapRef: {name: settings}}]}
"""
FILES = {"a.yaml": A, "web.yaml": DEPLOYMENT, "base/kustomization.yaml": "resources: [a.yaml]", "base/a.yaml": A}

GOOD: Mapping[str, Mapping[str, object]] = {
    "resources": {"resources": ["a.yaml", "web.yaml"]},
    "names": {"resources": ["base", "web.yaml"], "namespace": "x", "namePrefix": "p-", "nameSuffix": "-s"},
    "generated": {
        "resources": ["web.yaml"],
        "configMapGenerator": [{"name": "settings", "literals": ["x=1", "y=2"]}],
        "secretGenerator": [{"name": "keys", "files": ["a.yaml"]}],
    },
    "patched": {
        "resources": ["a.yaml", "web.yaml"],
        "patches": [
            {"patch": json.dumps([{"op": "add", "path": "/data/y", "value": "z"}]), "target": {"kind": "ConfigMap"}},
            {"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n"},
        ],
        "images": [{"name": "nginx", "newTag": "2.0"}],
        "labels": [{"pairs": {"team": "a"}, "includeSelectors": True}],
        "replacements": [
            {
                "source": {"kind": "ConfigMap", "name": "a", "fieldPath": "data.x"},
                "targets": [{"select": {"kind": "Deployment"}, "fieldPaths": ["spec.template.metadata.labels.app"]}],
            }
        ],
    },
    "old": {"resources": ["a.yaml"], "commonLabels": {"a": "b"}, "patchesJson6902": []},
    "origins": {"resources": ["base"], "buildMetadata": ["originAnnotations"]},
}
BAD: Mapping[str, Mapping[str, object]] = {
    "unknown field": {"resourcess": ["a.yaml"]},
    "missing": {"resources": ["none.yaml"]},
    "twice": {"resources": ["a.yaml", "base"]},
    "patch": {"resources": ["a.yaml"], "patches": [{"patch": "a: hunter2: c"}]},
    "no target": {
        "resources": ["a.yaml"],
        "patches": [{"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"}],
    },
    "replacement": {"resources": ["a.yaml"], "replacements": [{"source": {"kind": "Secret"}, "targets": [{}]}]},
    "outside": {"resources": ["/etc/passwd"]},
    "helm": {"helmCharts": [{"name": "x", "repo": "https://charts.invalid"}]},
}


@pytest.fixture(scope="module")
def kustomize() -> Path:
    return ensure(KUSTOMIZE)


@pytest.fixture
def on_path(kustomize: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{kustomize.parent}{os.pathsep}{os.environ['PATH']}")


async def said(kustomizer: Kustomizer, content: Mapping[str, object]) -> tuple[str, str]:
    """What is built, or the complaint, and the file that it is about."""
    try:
        return await kustomizer.build({**FILES, "kustomization.yaml": json.dumps(content)}), ""
    except KustomizeError as error:
        return error.message, error.path


@pytest.mark.usefixtures("on_path")
@pytest.mark.parametrize("name", [*GOOD, *BAD])
async def test_both_programs_build_the_same_and_complain_alike(name: str) -> None:
    content = GOOD.get(name) or BAD[name]
    found, by_kubectl = await said(Kustomizer(), content), await said(Kustomizer(find_kubectl()), content)
    assert found == by_kubectl
    assert found[0]
    assert ("kind: " in found[0]) is (name in GOOD)
    assert name in GOOD or "hunter2" not in found[0]


@pytest.mark.usefixtures("on_path")
def test_kustomize_is_taken_when_it_is_the_one_that_kubectl_has(kustomize: Path) -> None:
    assert asyncio.run(find_kustomize()) == (kustomize, "build")
    told = subprocess.run(
        [find_kubectl(), "version", "--client", "-o", "json"], capture_output=True, check=True, timeout=60
    )
    assert json.loads(told.stdout)["kustomizeVersion"] == VERSION == f"v{KUSTOMIZE.version}"


@pytest.mark.parametrize("script", ["echo v5.0.0", "exit 1", "exec /bin/sleep 60", "exec /usr/bin/yes", None])
async def test_another_one_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None) -> None:
    monkeypatch.setattr("gitsync.kustomize._VERSION_TIMEOUT", 0.5)
    program = tmp_path / "kustomize"
    program.write_text(f"#!/bin/sh\n{script}\n" if script else "no program")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert await find_kustomize() == (find_kubectl(), "kustomize")
