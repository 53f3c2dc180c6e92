"""Fixtures for tests against a real control plane. A pytest plugin: name it in `pytest_plugins`.

    control_plane   Cluster: kubeconfig, server, token, ca_file, request(method, path, body); one for the whole session
    namespace       str: a fresh namespace, left to itself afterwards (world.done_with)
    kubectl         Cli: kubectl("get", "pods", "-n", namespace), helm_cli likewise; they return standard output and
    helm_cli        raise CommandError
    registry        Registry: a registry with TLS and a password; one for the whole session
    s3              S3: an S3 server with TLS and keys; one for the whole session

By default a session starts a control plane of its own (4 s) on free ports. GITSYNC_TEST_CLUSTER=reuse takes the one of
`make cluster` when that runs; GITSYNC_TEST_KUBECONFIG takes any other cluster.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.plane import ControlPlane
from tests.controlplane.registry import Registry
from tests.controlplane.resident import Resident
from tests.controlplane.s3 import S3
from tests.controlplane.world import done_with, has_service_account
from tests.until import ask_until


def pytest_collection_finish(session: pytest.Session) -> None:
    """Builds what is missing before the first test, because a first build takes longer than any test may."""
    planes = {"control_plane", "real_control_plane"}
    used = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    wanted = used & (planes | {"registry", "s3"})
    if not wanted or session.config.option.collectonly:
        return
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        if "registry" in wanted:
            binaries.ensure(binaries.REGISTRY)
        if "s3" in wanted:
            binaries.ensure(binaries.VERSITYGW)
        if wanted & planes and _given_kubeconfig() is None:
            binaries.ensure_all()
        else:
            binaries.ensure(binaries.HELM)


@pytest.fixture(scope="session")
def real_control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster with one node, where pods become ready as `kwok/pod-start.yaml` describes."""
    directory = tmp_path_factory.mktemp("controlplane")
    given = _given_kubeconfig()
    if given is not None:
        yield Cluster.from_kubeconfig(given, binaries.kubectl(), directory)
        return
    plane = ControlPlane(directory, binaries.ensure_all())
    yield plane.start()
    plane.stop()


@pytest.fixture(scope="session")
def control_plane(real_control_plane: Cluster) -> Cluster:
    """The same, by the name that a folder of tests can give to another."""
    return real_control_plane


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A fresh namespace in which pods are admitted. Others may stay with what was made in them."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    ask_until(partial(has_service_account, control_plane, name), bool, f"namespace {name} has its service account")
    yield name
    done_with(control_plane, name)


@pytest.fixture(scope="session")
def kubectl(control_plane: Cluster) -> Cli:
    """kubectl on the cluster."""
    return kubectl_on(control_plane)


@pytest.fixture(scope="session")
def helm_cli(control_plane: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """Helm's own program on the cluster, without the user's repositories and plugins."""
    return helm_on(control_plane, tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A running registry, empty at first: who pushes takes a folder of his own."""
    directory = tmp_path_factory.mktemp("registry")
    registry = Registry(directory, binaries.ensure(binaries.REGISTRY), binaries.ensure(binaries.HELM))
    yield registry.start()
    registry.stop()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A running S3 server, empty at first: who puts something there makes a bucket of his own."""
    server = S3(tmp_path_factory.mktemp("s3"), binaries.ensure(binaries.VERSITYGW))
    yield server.start()
    server.stop()


def kubectl_on(cluster: Cluster) -> Cli:
    """kubectl on a cluster."""
    return Cli(binaries.kubectl(), cluster.kubeconfig)


def helm_on(cluster: Cluster, home: Path) -> Cli:
    """The same for a folder whose ``control_plane`` is another: a fixture is made once a session, whoever asks."""
    environment = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    return Cli(binaries.ensure(binaries.HELM), cluster.kubeconfig, environment)


def _given_kubeconfig() -> Path | None:
    """The kubeconfig of a cluster that runs already and is to be used."""
    kubeconfig = os.environ.get("GITSYNC_TEST_KUBECONFIG")
    if kubeconfig:
        return Path(kubeconfig)
    resident = Resident()
    if os.environ.get("GITSYNC_TEST_CLUSTER") == "reuse" and resident.is_running():
        return resident.kubeconfig
    return None
