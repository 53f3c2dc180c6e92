"""The status of a Kustomization that cannot be written at the moment."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.errors import ClusterUnavailable
from gitsync.sync.kustomization.reconcile.conditions import StatusWriter
from tests.sync.kustomizations import key, manifest


class Faulty:
    """A cluster that fails at its first write, and remembers the others; an event recorder that hears of nothing."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self._faults = [ClusterUnavailable("the API server does not answer")]

    def forget_faults(self) -> None:
        self._faults.clear()

    async def patch(self, key: ObjectKey, body: Any, **_: str) -> Manifest:
        if self._faults:
            raise self._faults.pop()
        self.written.append(body)
        return {"metadata": {"resourceVersion": "2"}, **body}

    def record(self, *_: object) -> None:
        pass


async def test_what_could_not_be_written_is_remembered_until_it_is() -> None:
    live = manifest("apps")
    live["metadata"]["resourceVersion"] = "1"
    cluster: Any = Faulty()
    status = StatusWriter(cluster, cluster, lambda _: live)
    kustomization = Kustomization.parse(live)
    await status.failed(kustomization, "BuildFailed", "no such directory")
    assert status.unwritten == {key("apps")}
    await status.failed(kustomization, "BuildFailed", "no such directory")
    assert status.unwritten == set()
    assert [body["status"]["conditions"][0]["reason"] for body in cluster.written] == ["BuildFailed"]


async def test_the_last_reconciliations_are_remembered_as_flux_does() -> None:
    """The same objects with the same end are one of them, and one more is worth no write of its own."""
    live = manifest("apps")
    live["metadata"]["resourceVersion"] = "9"
    cluster: Any = Faulty()
    cluster.forget_faults()
    status = StatusWriter(cluster, cluster, lambda _: live)
    kustomization = Kustomization.parse(live)

    async def succeed(revision: str, digest: str) -> list[dict[str, Any]]:
        writes = len(cluster.written)
        artifact: Any = SimpleNamespace(revision=revision, origin="", commit=None)
        await status.succeeded(kustomization, artifact, digest, checked=False)
        if len(cluster.written) == writes:
            return []
        live["status"] = {**live.get("status", {}), **cluster.written[-1]["status"]}
        found: list[dict[str, Any]] = live["status"]["history"]
        return found

    (first,) = await succeed("main@sha1:1", "aa")
    assert (first["digest"], first["lastReconciledStatus"]) == ("sha256:aa", "ReconciliationSucceeded")
    assert (first["totalReconciliations"], first["metadata"]) == (1, {"revision": "main@sha1:1"})
    assert await succeed("main@sha1:1", "aa") == []
    (again,) = await succeed("main@sha1:2", "aa")
    assert (again["totalReconciliations"], again["metadata"]) == (2, {"revision": "main@sha1:2"})
    artifact: Any = SimpleNamespace(revision="main@sha1:3", origin="", commit=None)
    await status.failed(kustomization, "HealthCheckFailed", "not ready", artifact=artifact, digest="bb")
    said = [(it["digest"], it["lastReconciledStatus"]) for it in cluster.written[-1]["status"]["history"]]
    assert said == [("sha256:bb", "HealthCheckFailed"), ("sha256:aa", "ReconciliationSucceeded")]
    for number in range(4, 12):
        found = await succeed(f"main@sha1:{number}", f"c{number}")
    assert [it["digest"] for it in found] == [f"sha256:c{number}" for number in range(11, 6, -1)]
