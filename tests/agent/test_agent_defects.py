"""A defect ends nothing but what it is in: an exception in every task of a whole agent, on a real API server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gitsync import agent, defects, logs
from gitsync.errors import SettingsError
from gitsync.settings import load
from tests.clock import jumping_clock
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.controlplane.errors import ApiError
from tests.controlplane.processes import free_ports
from tests.e2e.clearing import clear
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.notifying import alert, provider
from tests.git.git_world import HttpGit, Repository, http_git
from tests.until import until

PORTS = ("probe_port", "metrics_port", "web_port", "webhook_port")
CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n",
    "chart/templates/settings.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {text: {{ .Values.text | quote }}}\n"
    ),
}


class Defect(Exception):
    """What is injected."""


def release(namespace: str, text: str) -> str:
    return (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"
        f"metadata: {{name: app, namespace: {namespace}}}\n"
        "spec:\n  interval: 5m\n  driftDetection: {mode: enabled}\n"
        "  chart: {spec: {chart: ./chart, sourceRef: {kind: GitRepository, name: flux-system}}}\n"
        f"  values: {{text: {text}}}\n"
    )


class Running:
    """An agent in this process, and the repository that it syncs."""

    def __init__(
        self, control_plane: ControlPlane, namespace: str, directory: Path, others: set[object], server: HttpGit
    ) -> None:
        self._cluster, self._namespace, self._others = control_plane, namespace, others
        self._url = server.url
        self._other = Repository.make(server.root / "other")
        self.fleet = Fleet(directory / "fleet")
        config = directory / "gitsync.yaml"
        config.write_text("interval: 10m\n")
        flags = {
            "kubeconfig": control_plane.kubeconfig,
            "repo": str(self.fleet.path),
            "path": "fleet",
            "name": namespace,
            "state_dir": directory / "state",
            **dict(zip(PORTS, free_ports(len(PORTS)), strict=True)),
        }
        self.config = agent.ConfigFile(config, lambda: load(flags, config))
        self.task: asyncio.Task[int] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(agent.run(self.config.load(), self.config))

    async def syncs(self, text: str) -> None:
        """A commit gets to a plain object, through a chart, and by a Kustomization with a variable; and one of another
        repository by another Kustomization."""
        self._write("secrets", "variables", {"stringData": {"text": f"secret-{text}"}})
        self._write("secrets", "token", {"stringData": {"token": "a-token-of-a-receiver"}})
        self._write("secrets", "login", {"stringData": {"username": "ada", "password": f"s3cret-{text}"}})
        files = {
            "fleet/plain.yaml": self._map("plain", text),
            "fleet/app.yaml": release(self._namespace, text),
            "fleet/other.yaml": json.dumps(self._repository(interval="1s")),
            "fleet/built.yaml": self._kustomization("built", "flux-system"),
            "fleet/from-other.yaml": self._kustomization("from-other", "other"),
            "built/built.yaml": self._map("built", "${text}"),
            "fleet/notify.yaml": f"{provider(self._namespace, 'all', 'generic', 'http://127.0.0.1:1')}\n---\n"
            + alert(self._namespace, "all", eventSeverity="info"),
            "fleet/receiver.yaml": json.dumps(self._receiver()),
        }
        self._other.commit({"built/from-other.yaml": self._map("from-other", text)}, text)
        self.fleet.commit({**CHART, **files}, text)
        wanted = {"plain": text, "settings": text, "built": f"secret-{text}", "from-other": text}
        await until(lambda: all(self._says(name, says) for name, says in wanted.items()), timeout=120)
        assert self.task is not None
        assert not self.task.done()

    def _map(self, name: str, text: str) -> str:
        metadata = {"name": name, "namespace": self._namespace}
        return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}})

    def _repository(self, **spec: object) -> dict[str, object]:
        wanted = {"url": f"{self._url}/other", "secretRef": {"name": "login"}, "ref": {"branch": "main"}, **spec}
        metadata = {"name": "other", "namespace": self._namespace}
        return {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": metadata,
            "spec": wanted,
        }

    def _receiver(self) -> dict[str, object]:
        resources = [{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "name": "other"}]
        return {
            "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver",
            "metadata": {"name": "receiver", "namespace": self._namespace},
            "spec": {"type": "generic", "secretRef": {"name": "token"}, "resources": resources},
        }

    def _kustomization(self, name: str, source: str) -> str:
        variables = {"substituteFrom": [{"kind": "Secret", "name": "variables"}]}
        return kustomization(
            self._namespace, name, "./built", sourceRef={"kind": "GitRepository", "name": source}, postBuild=variables
        )

    def _write(self, plural: str, name: str, content: dict[str, object]) -> None:
        place = f"/api/v1/namespaces/{self._namespace}/{plural}"
        body = {"metadata": {"name": name}, **content}
        try:
            self._cluster.request("PUT", f"{place}/{name}", body)
        except ApiError:
            self._cluster.request("POST", place, body)

    def _says(self, name: str, text: str) -> bool:
        with suppress(ApiError):
            found = self._cluster.request("GET", f"/api/v1/namespaces/{self._namespace}/configmaps/{name}")
            return bool(found["data"]["text"] == text)
        return False

    def tasks(self) -> dict[str, asyncio.Task[object]]:
        """What the agent does at the moment, by name; what only waits for other tasks ends with those."""
        ours = {task.get_name(): task for task in asyncio.all_tasks() - self._others}
        others = {self.task, asyncio.current_task(), ours["repository"], ours["stop"]}
        waiting = {name: task for name, task in ours.items() if isinstance(waits_for(task), asyncio.Future)}
        return {name: task for name, task in waiting.items() if task not in others}


def waits_for(task: asyncio.Task[object]) -> object:
    """The future that a task waits for, None when that is another task or several."""
    future = getattr(task, "_fut_waiter", None)
    return None if future is None or isinstance(future, asyncio.Task) or hasattr(future, "_children") else future


@pytest.fixture
async def running(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Running]:
    (tmp_path / "served").mkdir()
    async with http_git(tmp_path / "served") as server:
        made = Running(control_plane, namespace, tmp_path, set(asyncio.all_tasks()), server)
        logs.configure("json", "info")
        try:
            yield made
        finally:
            logs.shutdown()
            if made.task is not None:
                made.task.cancel()
                await asyncio.gather(made.task, return_exceptions=True)
            await asyncio.to_thread(clear, control_plane)


@pytest.mark.timeout(300)
async def test_an_exception_in_any_task_ends_nothing_else(
    running: Running, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(defects, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(defects, "tell_defect", lambda task, error: told.append(task))
    running.start()
    await running.syncs("first")

    for name, task in running.tasks().items():
        future = waits_for(task)
        if isinstance(future, asyncio.Future) and not future.done():
            future.set_exception(Defect(name))
        await asyncio.sleep(0)
    await running.syncs("second")
    await running.syncs("third")
    print(sorted(set(told)))
    watches = {"HelmRelease", "GitRepository", "Kustomization", "Secret", "Receiver", "Provider", "Alert"}
    others = {"webhooks", "page", "event loop's lag", f"secrets {namespace}"}
    assert {"configuration", "events", *others, *(f"watch {kind}" for kind in watches)} <= set(told)
    assert any(task.startswith("poll ") for task in told)


async def test_the_same_defect_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(defects, "FIRST_PAUSE", 0.0)
    left = [Defect("a"), Defect("a"), Defect("b")]

    async def work() -> str:
        if left:
            raise left.pop()
        return "done"

    assert await defects.outlive("a task of this test", work) == "done"
    assert capsys.readouterr().out.count("a defect in gitsync; please report it") == 1


async def test_the_pauses_after_defects_begin_anew_when_all_went_well_for_a_while() -> None:
    loop = asyncio.get_running_loop()
    healthy = iter([0.0, 0.0, 0.0, 0.0, 2 * defects.HEALTHY])
    pauses: list[float] = []
    ended = 0.0

    async def work() -> None:
        nonlocal ended
        pauses.append(loop.time() - ended)
        if (seconds := next(healthy, None)) is not None:
            await asyncio.sleep(seconds)
            ended = loop.time()
            raise Defect("now and then")

    with jumping_clock():
        await defects.outlive("a task that fails now and then", work)
    assert pauses[4] > 4 * defects.FIRST_PAUSE > 2 * pauses[5]


async def test_the_loop_s_own_handler_is_back_when_the_agent_has_ended() -> None:
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    with pytest.raises(SettingsError):
        await agent.run(load({"once": True}))
    assert loop.get_exception_handler() is before
