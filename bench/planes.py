"""A control plane for one measurement: fresh, and with an audit log where it has to be known who sent requests."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.counters import Asked, read_audit
from tests.controlplane import binaries
from tests.controlplane.cluster import Cluster
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import ProcessId
from tests.controlplane.world import has_service_account

#: ResponseStarted is only ever logged for watches, which would else be seen when they end.
_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""


@dataclass(frozen=True, slots=True)
class Plane:
    """A running control plane, and a directory that goes with it."""

    cluster: Cluster
    directory: Path
    audit_log: Path | None
    processes: Mapping[str, ProcessId]

    def cpu_seconds(self) -> float:
        """User and system time of its processes so far."""
        found = [process for identity in self.processes.values() if (process := identity.find())]
        return sum(process.cpu_times().user + process.cpu_times().system for process in found)

    def asked(self) -> list[Asked]:
        """All requests so far, from the audit log."""
        assert self.audit_log is not None, "this control plane keeps no audit log"
        with self.audit_log.open() as log:
            return read_audit(log)

    def make_namespace(self, name: str) -> None:
        """Creates a namespace and waits until pods are admitted in it."""
        self.cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        deadline = time.monotonic() + 10
        while not has_service_account(self.cluster, name) and time.monotonic() < deadline:
            time.sleep(0.01)


@contextmanager
def control_plane(*, audited: bool = False) -> Iterator[Plane]:
    """A control plane with nothing in it, ended and removed afterwards."""
    programs = binaries.ensure_all()
    with tempfile.TemporaryDirectory(prefix="gitsync-bench-") as name:
        directory = Path(name)
        log = directory / "audit.log" if audited else None
        if log is not None:
            programs = {**programs, "kube-apiserver": _auditing(programs["kube-apiserver"], directory, log)}
        plane = ControlPlane(directory / "cluster", programs, environment={})
        try:
            yield Plane(plane.start(), directory, log, plane.process_ids)
        finally:
            plane.stop()


def _auditing(apiserver: Path, directory: Path, log: Path) -> Path:
    """A script that runs the API server with the flags of the audit log added."""
    policy = directory / "audit-policy.yaml"
    policy.write_text(_POLICY)
    program = directory / "kube-apiserver"
    flags = shlex.join([f"--audit-policy-file={policy}", f"--audit-log-path={log}"])
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(apiserver))} "$@" {flags}\n')
    program.chmod(0o755)
    return program
