"""python -m tests.controlplane up|down|status|build: the control plane for people, in `.cluster/`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from tests.controlplane import binaries
from tests.controlplane.errors import ControlPlaneError
from tests.controlplane.resident import Resident


def up() -> int:
    """build what is missing, start, and leave running"""
    resident = Resident()
    if resident.is_running():
        print("already running")
    else:
        programs = binaries.ensure_all()
        started = time.monotonic()
        print("starting the control plane ...", flush=True)
        cluster = resident.start(programs)
        print(f"ready in {time.monotonic() - started:.1f} s at {cluster.server}")
    print(f"  export KUBECONFIG={resident.kubeconfig}")
    print(f"  export PATH={resident.home / 'bin'}:$PATH")
    return 0


def down() -> int:
    """end it; the logs stay"""
    print("stopped" if Resident().stop() else "was not running")
    return 0


def status() -> int:
    """which of its processes run, and their memory"""
    resident = Resident()
    found = {name: pid.find() for name, pid in resident.processes().items()}
    if not found:
        print("not running")
        return 1
    for name, process in found.items():
        print(f"{name:24} {f'{process.memory_info().rss / 1e6:5.0f} MB' if process else 'ended'}")
    print(f"kubeconfig: {resident.kubeconfig}")
    return 0 if resident.is_running() else 1


def build() -> int:
    """build what is missing, and say where it is"""
    for name, path in binaries.ensure_all().items():
        print(f"{name:24} {path}")
    return 0


def main() -> int:
    commands: dict[str, Callable[[], int]] = {"up": up, "down": down, "status": status, "build": build}
    parser = argparse.ArgumentParser(
        prog="python -m tests.controlplane", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen = parser.add_subparsers(dest="command", required=True)
    for name, command in commands.items():
        chosen.add_parser(name, help=command.__doc__)
    try:
        return commands[parser.parse_args().command]()
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
