"""`gitsync plan` shows the fields that go because a sync or a release takes them over, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.apply.writers import Writing, objects
from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cli, Cluster
from tests.git.git_world import Repository

RELEASE = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: {namespace}}}
spec:
  interval: 5m
  chart:
    spec:
      chart: ./charts/app
      sourceRef: {{kind: GitRepository, name: flux-system}}
"""


@pytest.fixture
def writing(control_plane: Cluster, kubectl: Cli, namespace: str, tmp_path: Path) -> Writing:
    return Writing(control_plane, kubectl, namespace, "web", tmp_path, idle=True)


def plain(writing: Writing, manifests: str) -> Mapping[str, str]:
    return {"fleet/web.yaml": manifests}


def chart(writing: Writing, manifests: str) -> Mapping[str, str]:
    return {
        "fleet/app.yaml": RELEASE.format(namespace=writing.namespace),
        "charts/app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
        "charts/app/templates/web.yaml": manifests,
    }


@pytest.mark.parametrize("where", [plain, chart])
@pytest.mark.parametrize("refused", [False, True], ids=["", "refused as long as others have their fields"])
def test_fields_that_will_go_are_shown(
    where: Callable[[Writing, str], Mapping[str, str]],
    refused: bool,
    gitsync: Gitsync,
    our_kinds: None,
    writing: Writing,
    tmp_path: Path,
) -> None:
    writing("apply", "-f", writing.full)
    before = writing.shown()
    config_map, web, secret = objects("web", writing.namespace, full=False, idle=True)
    if refused:
        source = {"fieldRef": {"fieldPath": "metadata.name"}}
        web["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "valueFrom": source}]
    origin = Repository.make(tmp_path / "origin")
    origin.commit(where(writing, "\n---\n".join(map(json.dumps, (config_map, web, secret)))))

    said = gitsync("plan", "--repo", str(origin.path), "--path", "fleet", "--state-dir", str(tmp_path / "state"))

    assert said.code == 2, said.err
    lines = [" ".join(line.split()) for line in said.out.splitlines()]
    for gone in (
        "- legacy: unused",
        "- old: label",
        "- gone: soon",
        "- - name: DEBUG",
        "- image: registry.example/extra:1",
    ):
        assert gone in lines, said.out
    assert not any(line.startswith("- keep:") or line.startswith("- tier") for line in lines)
    assert "last-applied" not in said.out
    assert any(line.startswith("- legacy: masked:") for line in lines), said.out
    assert ("+ valueFrom:" in lines) is refused
    assert writing.shown() == before, "nothing was done"
