"""The sample repository, as a repository of its own: its second structure is whole, and its secret is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitsync.cli import main
from tests.controlplane import binaries
from tests.docs.markdown import ROOT
from tests.sopsfiles import AgeKey, decrypted

SAMPLE = ROOT / "sample-repo"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of it."""
    path = tmp_path_factory.mktemp("sample") / "fleet"
    shutil.copytree(SAMPLE, path)
    subprocess.run(["git", "init", "--quiet", path], check=True)
    return path


@pytest.fixture
def gitsync(sample: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What a command of gitsync prints in the checkout, as JSON."""
    monkeypatch.chdir(sample)

    def said(*words: str) -> Any:
        code = main([*words, "-o", "json"])
        out, err = capsys.readouterr()
        assert code == 0, out + err
        return json.loads(out)

    return said


@pytest.mark.parametrize("cluster", ["staging", "production"])
def test_each_cluster_is_valid_and_in_order(gitsync: Callable[..., Any], cluster: str) -> None:
    found = gitsync("validate", f"clusters/{cluster}", "--no-charts")
    assert found["valid"]
    assert [problem["file"] for problem in found["problems"]] == (
        [] if cluster == "staging" else ["clusters/production/secrets.yaml"]  # encrypted: not all of it can be checked
    )
    graph = gitsync("graph", f"clusters/{cluster}")
    text = json.dumps(graph)
    assert text.index("default/redis") < text.index("default/backend")


def test_what_is_encrypted_is_opened_by_the_key_that_lies_beside_it() -> None:
    text = (SAMPLE / "sample.agekey").read_text()
    secret = (SAMPLE / "secrets" / "production" / "backend.yaml").read_bytes()
    assert b"told in production" not in secret
    assert b"told in production only" in decrypted(secret, AgeKey(text, ""))


@pytest.mark.parametrize("chart", ["podinfo", "redis"])
def test_its_charts_make_labels_of_the_versions_that_an_ocirepository_gives_them(tmp_path: Path, chart: str) -> None:
    """Which end with ``+`` and a digest: no label may."""
    shutil.copytree(SAMPLE / "charts" / chart, tmp_path / chart)
    definition = tmp_path / chart / "Chart.yaml"
    text = definition.read_text()
    version = re.search(r"^version: (\S+)$", text, re.MULTILINE)
    assert version is not None
    definition.write_text(text.replace(version[0], f"version: {version[1]}+0e1c6c9b1b4c"))
    rendered = subprocess.run(
        [binaries.ensure(binaries.HELM), "template", "x", tmp_path / chart], check=True, capture_output=True, text=True
    ).stdout
    assert f"helm.sh/chart: {chart}-{version[1]}_0e1c6c9b1b4c\n" in rendered
