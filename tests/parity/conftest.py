"""Fixtures of the comparison with the real Helm: one gitsync in this process for all of it, two namespaces a test."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError
from tests.controlplane.world import done_with, has_service_account
from tests.parity.ahead import NewWorld
from tests.parity.serving import Serving
from tests.parity.world import HELM_RELEASES, World, archives
from tests.until import ask_until


@pytest.fixture(scope="package")
def chart_files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Every chart as an archive on disk, the same bytes that gitsync is served."""
    directory = tmp_path_factory.mktemp("charts")
    files = {}
    for name, data in archives().items():
        files[name] = directory / f"{name}.tgz"
        files[name].write_bytes(data)
    return files


@pytest.fixture(scope="package")
def serving(
    control_plane: Cluster, chart_files: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """gitsync, for as long as the tests of this folder run: an agent serves a whole cluster."""
    charts = [file.read_bytes() for file in chart_files.values()]
    with Serving(control_plane.kubeconfig, tmp_path_factory.mktemp("cache"), charts) as running:
        yield running
        _remove_all(control_plane)
    defects = [line for line in running.lines if "a defect in" in line["event"]]
    if defects:
        pytest.fail("\n".join(f"{line['task']}: {line.get('exc_info')!r}" for line in defects[:3]), pytrace=False)


@pytest.fixture(scope="package")
def new_world(
    control_plane: Cluster,
    helm_cli: Cli,
    serving: Serving,
    chart_files: Mapping[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> NewWorld:
    """Makes worlds: two fresh namespaces with names of the same length, and a HelmRepository in gitsync's."""

    @contextmanager
    def make() -> Iterator[World]:
        number = uuid.uuid4().hex[:6]
        names = (f"ours-{number}-x", f"them-{number}-x")
        for name in names:
            control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        _add_repository(control_plane, names[0], serving.url)
        world = World(control_plane, helm_cli, serving, *names, chart_files, tmp_path_factory.mktemp("values"))
        world.until(lambda: all(has_service_account(control_plane, name) for name in names), "namespaces are ready")
        yield world
        for name in names:
            done_with(control_plane, name)

    return make


@pytest.fixture
def world(serving: Serving, new_world: NewWorld) -> Iterator[World]:
    """A world of the test's own. gitsync's log is printed, for pytest to show with a failure."""
    first = len(serving.lines)
    with new_world() as made:
        yield made
        for line in serving.lines[first:]:
            print(json.dumps(line, default=str))


def _add_repository(cluster: Cluster, namespace: str, url: str) -> None:
    manifest = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": namespace},
        "spec": {"interval": "1h", "url": url},
    }
    cluster.request("POST", f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{namespace}/helmrepositories", manifest)


def _remove_all(cluster: Cluster) -> None:
    """Nothing with a finalizer may outlive the agent, or its namespace could never go."""

    def left() -> list[tuple[Any, Any]]:
        found = cluster.request("GET", f"{HELM_RELEASES}/helmreleases")["items"]
        for item in found:
            metadata = item["metadata"]
            if "deletionTimestamp" not in metadata:
                _delete(cluster, f"{HELM_RELEASES}/namespaces/{metadata['namespace']}/helmreleases/{metadata['name']}")
        return [(item["metadata"], item.get("status")) for item in found]

    ask_until(left, lambda found: not found, "no HelmRelease is left", 120)


def _delete(cluster: Cluster, path: str) -> None:
    try:
        cluster.request("DELETE", path)
    except ApiError as error:
        if error.status != 404:
            raise
