"""Flux's own kustomize-controller on a test's cluster, and what it needs of a source-controller: artifacts over HTTP,
and a GitRepository's status that names them."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gitsync.install.bundle import directory as config_directory
from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.processes import Process
from tests.e2e.harness import Fleet
from tests.until import ask_until

KIND = "kustomizations.kustomize.toolkit.fluxcd.io"
_MADE_UP_TIME = "2026-01-01T00:00:00Z"


class Flux:
    """kustomize-controller, which can be started and stopped, and the archives of a fleet's commits."""

    def __init__(self, cluster: Cluster, kubectl: Cli, fleet: Fleet, directory: Path, address: str) -> None:
        self._cluster, self._kubectl, self._fleet = cluster, kubectl, fleet
        self._directory, self._address = directory, address
        self._process: Process | None = None

    def start(self, *flags: str) -> None:
        """Start it, or start it again."""
        command = [
            str(binaries.ensure(binaries.KUSTOMIZE_CONTROLLER)),
            "--metrics-addr=0",
            "--health-addr=0",
            "--requeue-dependency=1s",
            *flags,
        ]
        environment = {
            "KUBECONFIG": str(self._cluster.kubeconfig),
            "RUNTIME_NAMESPACE": "flux-system",
            "HOME": str(self._directory),
        }
        log = self._directory / "kustomize-controller.log"
        self._process = Process("kustomize-controller", command, log, outlive_parent=False, environment=environment)

    def stop(self) -> None:
        """As when it is scaled to 0."""
        if self._process is not None:
            self._process.stop()
            print(f"--- log of kustomize-controller\n{self._process.log.read_text()}")
            self._process = None

    def publish(self) -> str:
        """Does what source-controller does with a commit: makes an archive, and names it in the GitRepository's
        status. Returns the revision."""
        commit = self._fleet.head
        archive = self._directory / "artifacts" / f"{commit}.tar.gz"
        command = ["git", "-C", str(self._fleet.path), "archive", "--format=tar.gz", f"--output={archive}", commit]
        subprocess.run(command, check=True)
        artifact = {
            "digest": f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}",
            "lastUpdateTime": _MADE_UP_TIME,
            "path": archive.name,
            "revision": f"main@sha1:{commit}",
            "size": archive.stat().st_size,
            "url": f"{self._address}/{archive.name}",
        }
        patch = ["patch", "gitrepository", "flux-system", "-n", "flux-system", "--subresource=status", "--type=merge"]
        generation = int(self._kubectl("get", *patch[1:4], patch[4], "-o", "jsonpath={.metadata.generation}"))
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Succeeded",
            "message": "stored artifact",
            "lastTransitionTime": _MADE_UP_TIME,
            "observedGeneration": generation,
        }
        status = {"artifact": artifact, "conditions": [ready], "observedGeneration": generation}
        self._kubectl(*patch, "-p", json.dumps({"status": status}))
        return str(artifact["revision"])

    def applied(self, revision: str, *names: str) -> None:
        """Wait until these Kustomizations are Ready at a revision, whether Flux or gitsync has applied it."""
        for name in names:
            ask_until(partial(self._state, name), lambda state: state == (revision, "True"), f"{name} at {revision}")

    def _state(self, name: str) -> tuple[str, str]:
        status = self.kustomization(name).get("status") or {}
        ready = next((it["status"] for it in status.get("conditions") or () if it["type"] == "Ready"), "")
        return status.get("lastAppliedRevision", ""), ready

    def kustomization(self, name: str) -> dict[str, Any]:
        """One of its namespace; {} for one that is not there."""
        found = self._kubectl("get", KIND, name, "-n", "flux-system", "-o", "json", "--ignore-not-found")
        return json.loads(found) if found else {}

    def clear(self, name: str) -> None:
        """Remove a Kustomization's status."""
        patch = ["patch", KIND, name, "-n", "flux-system", "--subresource=status", "--type=merge"]
        self._kubectl(*patch, "-p", '{"status": {"conditions": []}}')

    def inventory(self, name: str) -> set[str]:
        """The ids that a Kustomization's status names."""
        entries = self.kustomization(name)["status"]["inventory"]["entries"]
        return {entry["id"] for entry in entries}


@contextmanager
def running(cluster: Cluster, kubectl: Cli, fleet: Fleet, directory: Path) -> Iterator[Flux]:
    """Flux for a fleet, not started yet; ended afterwards."""
    artifacts = directory / "artifacts"
    artifacts.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(artifacts)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    flux = Flux(cluster, kubectl, fleet, directory, f"http://127.0.0.1:{server.server_port}")
    try:
        yield flux
    finally:
        flux.stop()
        server.shutdown()
        server.server_close()
        thread.join(5)


@contextmanager
def bootstrapped(
    cluster: Cluster, kubectl: Cli, fleet: Fleet, directory: Path, sync: str, files: dict[str, str | None]
) -> Iterator[Flux]:
    """Flux as after ``flux bootstrap``, started on a commit with these files; ``sync`` are the GitRepository and the
    Kustomization that it is told to serve."""
    kubectl("apply", "--server-side", "-f", config_directory() / "crds")
    kubectl("wait", "--for=condition=Established", "crd", "--all")
    kubectl("create", "namespace", "flux-system")
    kubectl("apply", "--server-side", "--field-manager=flux", "-f", "-", stdin=sync)
    fleet.commit(files, "as Flux has it")
    with running(cluster, kubectl, fleet, directory) as flux:
        flux.publish()
        flux.start()
        yield flux


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
