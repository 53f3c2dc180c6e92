"""The registry takes what helm pushes, from who has the password, and gives the same back."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.errors import CommandError
from tests.controlplane.registry import Registry


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "Chart.yaml").write_text("apiVersion: v2\nname: box\nversion: 1.0.0\n")
    command = [str(binaries.ensure(binaries.HELM)), "package", str(tmp_path / "box"), "-d", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return tmp_path / "box-1.0.0.tgz"


def test_a_chart_that_is_pushed_can_be_pulled(registry: Registry, archive: Path, tmp_path: Path) -> None:
    digest = registry.push(archive, "first")
    (tmp_path / "got").mkdir()
    pulled = registry.helm("pull", registry.url("first/box"), "--version=1.0.0", f"--destination={tmp_path / 'got'}")
    assert digest in pulled
    assert (tmp_path / "got" / archive.name).read_bytes() == archive.read_bytes()
    assert registry.blob(digest).exists()


def test_who_has_another_password_gets_nothing(
    registry: Registry, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{registry.__module__}.PASSWORD", "another")
    with pytest.raises(CommandError, match="401"):
        registry.push(archive, "second")
