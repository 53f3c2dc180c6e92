"""Repositories on this disk that commands read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def release(
    name: str, *depends_on: str, chart: str = "redis", version: str = "17.3.14", kind: str = "HelmRepository"
) -> str:
    dependencies = "".join(f"    - name: {dependency}\n" for dependency in depends_on)
    source = "bitnami" if kind == "HelmRepository" else "flux-system"
    return (
        f"apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: {name}\n  namespace: default\n"
        f"spec:\n  interval: 5m\n  chart:\n    spec:\n      chart: {chart}\n"
        + (f"      version: {version}\n" if kind == "HelmRepository" else "")
        + f"      sourceRef:\n        kind: {kind}\n        name: {source}\n"
        + (f"  dependsOn:\n{dependencies}" if dependencies else "")
    )


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@git.example", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty present directory, and a state directory of our own."""
    for name in [name for name in os.environ if name.startswith("GITSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GITSYNC_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"
