"""Starts and stops a control plane."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.controlplane import components
from tests.controlplane.certificates import write_certificates
from tests.controlplane.cluster import Cluster, write_kubeconfig
from tests.controlplane.components import Layout, Ports
from tests.controlplane.processes import FRUGAL, Process, ProcessId, free_ports, kept, listens
from tests.controlplane.world import furnish, is_furnished


class ControlPlane:
    """A control plane in a directory of its own, on free ports.

    Its processes end with the process that started them, even if that is killed, unless `outlive_parent` is set.
    `environment` is what they find beside that of this process. `issuer` signs the tokens of its ServiceAccounts;
    `trusts` are other issuers (as in AuthenticationConfiguration) whose tokens it takes, for users hub:SUBJECT.
    """

    def __init__(
        self,
        directory: Path,
        binaries: Mapping[str, Path],
        *,
        outlive_parent: bool = False,
        environment: Mapping[str, str] = FRUGAL,
        issuer: str = components.ISSUER,
        trusts: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._directory = directory
        self._binaries = binaries
        self._outlive_parent = outlive_parent
        self._environment = environment
        self._issuer = issuer
        self._trusts = trusts
        self._processes: list[Process] = []
        self._layout: Layout | None = None
        self._token = secrets.token_hex(16)

    def start(self, timeout: float = 60, *, bare: bool = False) -> Cluster:
        """Starts everything and waits until pods can run; `bare`: etcd and the API server alone, which keep objects,
        and nothing comes of them.

        Raises StartError, naming the process and with the end of its log, when one ends or is not ready in time;
        nothing is left running then.
        """
        deadline = time.monotonic() + timeout
        layout = self._lay_out()
        cluster = self.cluster
        try:
            self._run("etcd", components.etcd(layout), lambda: listens(layout.ports.etcd), deadline)
            self._run("kube-apiserver", components.apiserver(layout), cluster.is_ready, deadline)
            if not bare:
                self._bring_to_life(layout, deadline)
            for process in self._processes:
                process.check()
        except BaseException:
            self.stop()
            raise
        return cluster

    def _bring_to_life(self, layout: Layout, deadline: float) -> None:
        cluster = self.cluster
        furnish(cluster)
        self._run("kube-scheduler", components.scheduler(layout))
        self._run("kube-controller-manager", components.controller_manager(layout))
        self._run("kwok", components.kwok(layout), lambda: is_furnished(cluster), deadline, may_panic=True)

    def stop(self) -> None:
        """Ends the processes, last started first: an API server whose etcd has gone hangs."""
        while self._processes:
            self._processes.pop().stop()

    @property
    def cluster(self) -> Cluster:
        """How to reach it."""
        layout = self._started
        ends = not self._outlive_parent
        return Cluster(layout.kubeconfig, layout.server, self._token, layout.certificates.ca, ends_with_tests=ends)

    @property
    def process_ids(self) -> dict[str, ProcessId]:
        """The processes by name, in the order of their start."""
        return {process.name: process.id for process in self._processes}

    @property
    def _started(self) -> Layout:
        if self._layout is None:
            raise RuntimeError("the control plane was not started")
        return self._layout

    def _lay_out(self) -> Layout:
        """Writes the files that the components read."""
        (self._directory / "logs").mkdir(parents=True, exist_ok=True)
        ports = Ports(*free_ports(4))
        layout = Layout(self._directory, ports, write_certificates(self._directory / "certificates"), self._issuer)
        layout.tokens.touch(mode=0o600)
        layout.tokens.write_text(f"{self._token},admin,admin,system:masters\n")
        write_kubeconfig(layout.kubeconfig, layout.server, self._token, layout.certificates.ca.read_bytes())
        layout.authentication_config.write_text(components.authentication_config(self._trusts))
        layout.scheduler_config.write_text(components.scheduler_config(layout))
        layout.logs_config.write_text(components.logs_config())
        self._layout = layout
        return layout

    def _run(
        self,
        name: str,
        arguments: list[str],
        ready: Callable[[], bool] | None = None,
        deadline: float = 0,
        *,
        may_panic: bool = False,
    ) -> None:
        command = [str(self._binaries[name]), *arguments]
        if may_panic:
            command = kept(command)
        log = self._started.log(name)
        process = Process(name, command, log, outlive_parent=self._outlive_parent, environment=self._environment)
        self._processes.append(process)
        if ready is not None:
            process.wait_until(ready, deadline)
