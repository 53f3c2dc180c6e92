"""Describes the machine on which the figures were taken."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path

import psutil

from tests.controlplane import binaries


def describe(runs: int) -> dict[str, str]:
    """The machine, the versions and the date, for whoever reads the figures later."""
    memory = psutil.virtual_memory().total / 1e9
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "gitsync": _commit(),
        "machine": f"{os.cpu_count()} cores of {_processor()}, {memory:.0f} GB, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
        "Python": platform.python_version(),
        "Kubernetes": f"{binaries.APISERVER.version}, etcd {binaries.ETCD.version}, kwok {binaries.KWOK.version}",
        "runs": f"{runs}, medians",
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    if file.exists():
        for line in file.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
