"""The status of a Kustomization that cannot be written at the moment."""

from __future__ import annotations

from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.errors import ClusterUnavailable
from gitsync.sync.kustomization.conditions import StatusWriter
from tests.sync.test_sync_kustomizations import key, manifest


class Faulty:
    """A cluster that fails at its first write, and remembers the others; an event recorder that hears of nothing."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self._faults = [ClusterUnavailable("the API server does not answer")]

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
