"""The event loop goes on while large records are packed, unpacked and compared."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from gitsync.charts import Rendered
from gitsync.cluster import Cluster
from gitsync.release.reconcile.remediation import mismatch
from gitsync.release.revision import holds
from gitsync.release.status.history import snapshot_of
from gitsync.release.storage.record import Record, checksum, decode, encode
from gitsync.release.storage.recordstore import RecordStore
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.lag import goes_on


def large_record(namespace: str) -> Record:
    """A revision of about five megabytes: as of a chart with many templates, dashboards and objects."""
    template = base64.b64encode(b"{{- range .Values.items }}\nkind: ConfigMap\n{{- end }}\n" * 300).decode()
    templates = [{"name": f"templates/part-{number}.yaml", "data": template} for number in range(110)]
    dashboard = "panel: " + "x" * 400 + "\n"
    head = "---\napiVersion: v1\nkind: ConfigMap\n"
    objects = (f"{head}metadata: {{name: board-{number}}}\ndata:\n  a: |\n    {dashboard}" for number in range(5000))
    config: dict[str, Any] = {
        f"component-{number}": {"enabled": True, "replicas": number, "args": ["--a", "--b"], "resources": {}}
        for number in range(2000)
    }
    chart = {"metadata": {"name": "large", "version": "1.0.0"}, "templates": templates, "values": config}
    return Record("large", namespace, 1, "deployed", chart, config, "".join(objects))


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(kubeconfig=control_plane.kubeconfig) as connected:
        yield connected


async def test_a_record_of_five_megabytes_does_not_hold_the_loop_up(cluster: Cluster, namespace: str) -> None:
    store, record = RecordStore(cluster, "gitsync/us"), large_record(namespace)
    size = sum(len(item["data"]) for item in record.chart["templates"]) + len(record.manifest)
    assert size > 4_500_000
    digest = checksum(record)
    rendered = Rendered(record.manifest, (), (), "", (), {"metadata": record.chart["metadata"]})

    async def compare() -> None:
        assert await asyncio.to_thread(holds, record, rendered, record.config)
        assert await asyncio.to_thread(mismatch, record, digest) == ""
        assert (await asyncio.to_thread(snapshot_of, record)).digest == digest

    async def write_and_read() -> None:
        await store.update(record, namespace)
        assert (await store.read(namespace, "large", 1)).manifest == record.manifest

    await store.create(replace(record, status="pending-install"), namespace)
    for work, in_one_go in ((write_and_read, encode), (compare, checksum)):
        await goes_on(work, partial(in_one_go, record))


async def test_records_are_unpacked_one_at_a_time(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may take some ten megabytes."""
    store, record = (
        RecordStore(cluster, "gitsync/us"),
        replace(large_record(namespace), manifest="", chart={}, config={}),
    )
    running = most = 0

    def counted(secret: dict[str, Any], body: bytes, held: object) -> Record:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)  # time in which another could begin
        running -= 1
        return decode(secret, body, held)

    monkeypatch.setattr("gitsync.release.storage.recordstore.decode", counted)
    for number in range(1, 8):
        await store.create(replace(record, version=number), namespace)
    read = await asyncio.gather(*(store.read(namespace, "large", number) for number in range(1, 8)))
    assert [item.version for item in read] == list(range(1, 8))
    assert most == 1
