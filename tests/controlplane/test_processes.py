"""Starting and ending processes: what is left behind, and what is said when something goes wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.controlplane.errors import StartError
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Process, ProcessId, free_ports, kept, stop_found
from tests.until import ask_until

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
_START_AND_REPORT = """
import sys, time, pathlib
from tests.controlplane.processes import Process
child = Process("child", [sys.executable, "-c", "import time; time.sleep(60)"], pathlib.Path(sys.argv[1]),
                outlive_parent=sys.argv[2] == "outlive")
print(child.id.pid, child.id.created, flush=True)
time.sleep(60)
"""


def start_parent(log: Path, how: str) -> tuple[subprocess.Popen[str], ProcessId]:
    """A Python process of its own that has started a child."""
    command = [sys.executable, "-c", _START_AND_REPORT, str(log), how]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, created = parent.stdout.readline().split()
    parent.stdout.close()
    return parent, ProcessId(int(pid), float(created))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_a_child_dies_with_its_killed_parent(tmp_path: Path) -> None:
    parent, child = start_parent(tmp_path / "log", "die")
    process = child.find()
    assert process is not None
    ask_until(process.cmdline, lambda line: line == _SLEEP, "the launcher has asked for the signal")
    parent.kill()
    parent.wait()
    process.wait(timeout=60)
    assert child.find() is None


def test_a_child_that_may_outlive_its_parent_can_be_found_and_ended(tmp_path: Path) -> None:
    parent, child = start_parent(tmp_path / "log", "outlive")
    parent.kill()
    parent.wait()
    assert child.find() is not None
    stop_found(child)
    assert child.find() is None


def test_another_process_with_the_same_id_is_left_alone() -> None:
    me = psutil.Process()
    stranger = ProcessId(me.pid, me.create_time() - 100)
    assert stranger.find() is None
    stop_found(stranger)


def test_a_process_that_ends_early_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('port taken'); raise SystemExit(3)"]
    process = Process("etcd", command, tmp_path / "log", outlive_parent=False)
    with pytest.raises(StartError, match=r"(?s)etcd ended with 3.*port taken"):
        process.wait_until(lambda: False, time.monotonic() + 10)


def test_a_process_that_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    process = Process("etcd", _SLEEP, tmp_path / "log", outlive_parent=False)
    with pytest.raises(StartError, match="etcd was not ready in time"):
        process.wait_until(lambda: False, time.monotonic() + 0.1)
    process.stop()


_PANICS_ONCE = """
import pathlib, sys, time
marker = pathlib.Path(sys.argv[1])
if not marker.exists():
    marker.touch()
    print("fatal error: concurrent map writes")
    raise SystemExit(2)
print("up again", flush=True)
time.sleep(60)
"""


def test_a_program_that_panics_is_started_again_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    command = kept([sys.executable, "-u", "-c", _PANICS_ONCE, str(tmp_path / "marker")])
    process = Process("kwok", command, tmp_path / "log", outlive_parent=False)
    process.wait_until(lambda: "up again" in process.log.read_text(), time.monotonic() + 30)
    (child,) = psutil.Process(process.id.pid).children()
    assert "concurrent map writes" in process.log.read_text()
    process.stop()
    assert not child.is_running()


def test_a_program_that_ends_in_any_other_way_is_not_started_again(tmp_path: Path) -> None:
    process = Process(
        "kwok", kept([sys.executable, "-c", "raise SystemExit(3)"]), tmp_path / "log", outlive_parent=False
    )
    with pytest.raises(StartError, match="kwok ended with 3"):
        process.wait_until(lambda: False, time.monotonic() + 30)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_a_kept_program_dies_with_a_keeper_that_is_killed(tmp_path: Path) -> None:
    process = Process("kwok", kept(_SLEEP), tmp_path / "log", outlive_parent=True)
    keeper = psutil.Process(process.id.pid)
    ask_until(
        lambda: [child.cmdline() for child in keeper.children()],
        lambda lines: lines == [_SLEEP],
        "the program has asked for the signal",
    )
    (child,) = keeper.children()
    keeper.kill()
    child.wait(timeout=60)
    process.stop()


def test_a_failed_start_leaves_nothing_running(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path, {"etcd": Path(sys.executable)})  # Python does not know etcd's flags
    with pytest.raises(StartError, match="etcd ended with 2"):
        plane.start()
    assert plane.process_ids == {}


def test_free_ports_differ() -> None:
    assert len(set(free_ports(50))) == 50
