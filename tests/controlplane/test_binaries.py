"""Where binaries come from; nothing is built here."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.errors import BuildError
from tests.controlplane.toolchain import parse_version


def test_versions_are_those_of_the_modules() -> None:
    assert {binary.name: binary.version for binary in binaries.ALL} == {
        "etcd": "3.6.14",
        "kube-apiserver": "1.36.3",
        "kube-controller-manager": "1.36.3",
        "kube-scheduler": "1.36.3",
        "kwok": "0.8.0",
        "helm": "4.2.3",
        "kstatus": "1.2.2",
        "fluxbuild": "1.41.0",
        "registry": "3.1.2",
        "versitygw": "1.8.0",
        "sops": "3.13.3",
        "kustomize": "5.8.1",
        "age-keygen": "1.3.1",
        "kustomize-controller": "1.9.4",
        "promtool": "0.316.0",
        "alertmanager": "0.28.1",
    }


def test_the_version_is_linked_in() -> None:
    assert "version.gitVersion=v1.36.3 -X " in binaries.APISERVER.ldflags
    assert "version.gitMinor=36 " in binaries.APISERVER.ldflags


def test_the_key_depends_on_what_is_linked_in() -> None:
    other = dataclasses.replace(binaries.KWOK, stamps=("main.version={version}",))
    assert other.key != binaries.KWOK.key


def test_the_key_depends_on_sources_of_our_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = binaries.KSTATUS.key
    monkeypatch.setattr(binaries, "MODULES", shutil.copytree(binaries.MODULES, tmp_path / "go"))
    assert binaries.KSTATUS.key == before
    (tmp_path / "go/kstatus/main.go").write_text("package main\n")
    assert binaries.KSTATUS.key != before


def test_the_cache_can_be_moved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("GITSYNC_CACHE", raising=False)
    assert binaries.cache_directory() == tmp_path / "xdg" / "gitsync" / "controlplane"
    monkeypatch.setenv("GITSYNC_CACHE", str(tmp_path / "mine"))
    assert binaries.cache_directory() == tmp_path / "mine" / "controlplane"


def test_binaries_of_envtest_are_taken_where_there_are_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "etcd").touch()
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    assert binaries.ensure(binaries.ETCD) == tmp_path / "etcd"


@pytest.mark.skipif(shutil.which("go") is None, reason="would install a Go toolchain first")
def test_a_failed_build_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GITSYNC_CACHE", str(tmp_path))
    unknown = dataclasses.replace(binaries.HELM, package="helm.sh/helm/v4/cmd/none-such")
    with pytest.raises(BuildError, match="none-such"):
        binaries.ensure(unknown)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


@pytest.mark.parametrize(
    ("text", "version"), [("go1.26.8", (1, 26, 8)), ("1.26", (1, 26)), ("go1.27rc1", (1, 27)), ("devel", ())]
)
def test_versions_of_go_are_read(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version
