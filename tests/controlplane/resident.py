"""A control plane that stays: the one of `make cluster`, in the checkout's `.cluster/`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tests.controlplane.cluster import Cluster
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import ProcessId, stop_found

HOME = Path(__file__).parents[2] / ".cluster"


class Resident:
    """`HOME` holds its kubeconfig, `bin/` with links to the programs, `logs/` and `processes.json`."""

    def __init__(self, home: Path = HOME) -> None:
        self.home = home
        self.kubeconfig = home / "kubeconfig"
        self._processes = home / "processes.json"

    def start(self, binaries: Mapping[str, Path]) -> Cluster:
        """Starts it afresh; what an earlier one has left is removed. Raises StartError."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)
        links = self.home / "bin"
        links.mkdir(parents=True)
        for name, path in binaries.items():
            (links / name).symlink_to(path)
        plane = ControlPlane(self.home, binaries, outlive_parent=True)
        cluster = plane.start()
        self._processes.write_text(json.dumps({name: asdict(pid) for name, pid in plane.process_ids.items()}, indent=1))
        return cluster

    def stop(self) -> bool:
        """Ends its processes, etcd last; the logs stay. Whether there was anything to end."""
        processes = self.processes()
        for pid in reversed(processes.values()):
            stop_found(pid)
        self._processes.unlink(missing_ok=True)
        return bool(processes)

    def processes(self) -> dict[str, ProcessId]:
        """The processes by name as they were started; some may have ended since."""
        if not self._processes.exists():
            return {}
        return {name: ProcessId(**fields) for name, fields in json.loads(self._processes.read_text()).items()}

    def is_running(self) -> bool:
        """Whether all of its processes run."""
        processes = self.processes()
        return bool(processes) and all(pid.find() for pid in processes.values())
