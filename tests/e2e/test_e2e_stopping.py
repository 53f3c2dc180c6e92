"""An agent that is told to stop comes to its end within the grace that Kubernetes gives it, whatever hangs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from tests.charts.servers import Server
from tests.controlplane.cluster import Cluster
from tests.e2e.conftest import NewAgent
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet, Line
from tests.e2e.hostiletenants import git_repository, served
from tests.e2e.hostility import ENDLESS, GRACE, bad_chart, silent
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map, release, repository
from tests.git.git_world import HttpGit
from tests.until import ask_until

__all__ = ["served", "silent"]

#: Of what is never pulled.
NEVER = "registry.example/app:nonexistent"
POD = {"containers": [{"name": "a", "image": NEVER}]}


def pod(name: str, **annotations: str) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": POD}
    )


def hung_template(namespace: str, _url: str) -> dict[str, str]:
    return {**bad_chart("endless", ENDLESS), "fleet/a.yaml": in_git(namespace, "a", path="./charts/endless")}


def hung_registry(namespace: str, url: str) -> dict[str, str]:
    source = repository(namespace, url).replace("  interval: 1h", "  interval: 1h\n  timeout: 59m")
    return {"fleet/a.yaml": f"{source}---\n{release(namespace, 'a')}"}


def hung_git(namespace: str, url: str) -> dict[str, str]:
    return {"fleet/a.yaml": git_repository(namespace, "a", f"{url}/silent")}


def hung_hook(namespace: str, _url: str) -> dict[str, str]:
    chart = bad_chart("hooked", pod("never", **{"helm.sh/hook": "pre-install"}))
    return {**chart, "fleet/a.yaml": in_git(namespace, "a", path="./charts/hooked", timeout="50m")}


def hung_release(namespace: str, _url: str) -> dict[str, str]:
    values = {"image": NEVER}
    return {**chart_files(), "fleet/a.yaml": in_git(namespace, "a", timeout="50m", values=values)}


def hung_health(namespace: str, _url: str) -> dict[str, str]:
    directory = kustomization(namespace, "a", "./built", wait=True, timeout="50m", targetNamespace=namespace)
    return {"fleet/a.yaml": directory, "built/pod.yaml": pod("never")}


HANGING = (hung_template, hung_registry, hung_git, hung_hook, hung_release, hung_health)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("hanging", HANGING)
def test_it_ends_whatever_it_waits_for(
    new_agent: NewAgent,
    fleet: Fleet,
    silent: Server,
    served: HttpGit,
    namespace: str,
    hanging: Callable[[str, str], dict[str, str]],
) -> None:
    served.held = "/silent"
    served.gate.clear()
    fleet.commit(hanging(namespace, served.url if hanging is hung_git else silent.url), "what hangs")
    agent = new_agent(fleet, "--path=fleet").start()
    if hanging is hung_template:
        ask_until(lambda: busiest_child(agent.pid), lambda seconds: seconds > 2, "a template is rendered")
    else:
        agent.until(waits_for_that(namespace), "it waits")
    assert ends_in_time(agent) == 0


def waits_for_that(namespace: str) -> Callable[[Line], bool]:
    """A line that says that something of the namespace is waited for."""
    return lambda line: line.msg == "waiting" and any(str(it).startswith(namespace) for it in line.fields.values())


def busiest_child(pid: int) -> float:
    """Seconds of a processor that the busiest process has used which an agent has started."""
    seconds = [0.0]
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.Error):
            seconds.append(child.cpu_times().user)
    return max(seconds)


def ends_in_time(agent: AgentProcess) -> int:
    began = time.monotonic()
    code = agent.stop(GRACE)
    print(f"ended with {code} after {time.monotonic() - began:.1f} s")
    return code


@contextmanager
def frozen(cluster: Cluster) -> Iterator[None]:
    """Inside, the API server takes connections, and says nothing."""
    port = int(cluster.server.rpartition(":")[2])

    def is_ours(found: Any) -> bool:
        return bool(found.status == "LISTEN" and found.laddr.port == port)

    (pid,) = {it.pid for it in psutil.net_connections("tcp") if is_ours(it)}
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("started", [True, False])
def test_it_ends_though_the_api_server_says_nothing_any_more(
    new_agent: NewAgent, fleet: Fleet, control_plane: Cluster, namespace: str, started: bool
) -> None:
    fleet.commit({"fleet/one.yaml": config_map(namespace, "one")}, "one")
    agent = new_agent(fleet, "--path=fleet", "--interval=1s")
    if started:
        agent.start().wait_for("sync finished")
    with frozen(control_plane):
        if started:
            fleet.commit({"fleet/two.yaml": config_map(namespace, "two")}, "two")
            agent.wait_for("sync started", commit=fleet.head[:7])
        else:
            agent.start()
            ask_until(lambda: connections(agent.pid), bool, "it asks the API server")
        code = ends_in_time(agent)
    assert code == 0


def connections(pid: int) -> list[Any]:
    try:
        return list(psutil.Process(pid).net_connections("tcp"))
    except psutil.Error:
        return []
