"""The sandbox as a whole: starts, furnishes, stops."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from gitsync.errors import SettingsError
from gitsync.sandbox.api import CRDS, Api
from gitsync.sandbox.kinds.catalog import Catalog
from gitsync.sandbox.kinds.defaults import STORAGE_CLASS
from gitsync.sandbox.objects.objectstore import HISTORY, ObjectStore
from gitsync.sandbox.serving.certificate import make_certificate, write_kubeconfig
from gitsync.sandbox.serving.server import Handler
from gitsync.sandbox.world import deployments, garbage, jobs, namespaces, pods, replicas, statefulsets, volumes
from gitsync.sandbox.world.world import MISSING, World

_CONTROLLERS: Final = {
    "namespaces.": namespaces.namespace,
    CRDS: namespaces.definition,
    "pods.": pods.pod,
    "replicasets.apps": replicas.replica_set,
    "daemonsets.apps": replicas.daemon_set,
    "deployments.apps": deployments.deployment,
    "statefulsets.apps": statefulsets.stateful_set,
    "jobs.batch": jobs.job,
    "persistentvolumeclaims.": volumes.claim,
    "persistentvolumes.": volumes.volume,
    "services.": volumes.service,
}


class Sandbox:
    """A Kubernetes API on loopback for as long as it is entered (``async with``). ``kubeconfig`` is the path of a
    kubeconfig with all rights in it, readable to nobody else; it goes with the sandbox.

    Raises on entering: SettingsError when there is such a file already, or the port is taken.

    ``delay``: seconds until a pod has started. ``missing``: a pattern; an image whose tag has it is never pulled.
    ``history``: how many changes a watch can go back.
    """

    def __init__(
        self,
        *,
        delay: float = 0.5,
        missing: str = MISSING,
        port: int = 0,
        kubeconfig: Path | None = None,
        history: int = HISTORY,
    ) -> None:
        self._delay = delay
        self._missing = missing
        self._port = port
        self._kubeconfig = kubeconfig
        self._history = history
        self._exits = contextlib.AsyncExitStack()

    @property
    def kubeconfig(self) -> Path:
        assert self._kubeconfig is not None, "the sandbox is to be entered first"
        return self._kubeconfig

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gitsync-sandbox-")))
            api = Api(ObjectStore(self._history), await asyncio.to_thread(Catalog))
            world = World(
                api,
                _CONTROLLERS,
                garbage.collect,
                (namespaces.follow, garbage.follow),
                delay=self._delay,
                missing=self._missing,
            )
            _furnish(world)
            running = asyncio.create_task(world.run(), name="sandbox world")
            stack.push_async_callback(_end, running)
            await self._serve(api, directory, stack)
            self._exits = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def _serve(self, api: Api, directory: Path, stack: contextlib.AsyncExitStack) -> None:
        token = secrets.token_urlsafe(32)
        certificate, key = make_certificate(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        runner = web.AppRunner(
            Handler(api, token).application(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=context).start()
        except OSError as error:
            raise SettingsError(f"cannot listen on 127.0.0.1:{self._port}: {error.strerror}") from error
        self._port = runner.addresses[0][1]
        self._kubeconfig = self._kubeconfig or directory / "kubeconfig"
        write_kubeconfig(self._kubeconfig, self.url, token, certificate.read_bytes())
        stack.callback(self._kubeconfig.unlink, missing_ok=True)


def _furnish(world: World) -> None:
    """What every cluster has from its first moment."""
    for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
        world.create("namespaces.", {"metadata": {"name": name}})
    port = {"name": "https", "port": 443, "targetPort": 6443}
    service = {"clusterIP": "10.96.0.1", "ports": [port]}
    world.create("services.", {"metadata": {"name": "kubernetes", "namespace": "default"}, "spec": service})
    ready = {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}
    world.create("nodes.", {"metadata": {"name": pods.NODE, "labels": {"kubernetes.io/hostname": pods.NODE}}})
    for key, _ in world.store.items("nodes."):
        world.change(key, status=ready)
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    metadata = {"name": STORAGE_CLASS, "annotations": default}
    world.create("storageclasses.storage.k8s.io", {"metadata": metadata, "provisioner": "gitsync.dev/sandbox"})


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
