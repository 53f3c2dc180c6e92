"""What the sandbox serves is what the real API server serves."""

from __future__ import annotations

import gzip
import json

import pytest

from gitsync.cluster import Cluster
from gitsync.sandbox.kinds.catalog import RECORDING
from tests.contract.recording import record
from tests.controlplane.cluster import Cluster as ControlPlane


async def test_the_recording_is_that_of_the_test_control_plane(real_control_plane: ControlPlane) -> None:
    recorded = json.loads(gzip.decompress(RECORDING.read_bytes()))
    async with await Cluster.connect(kubeconfig=real_control_plane.kubeconfig) as cluster:
        found = json.loads(json.dumps(await record(cluster)))
    for one in (found, recorded):  # built with any Go, for any processor
        del one["version"]["goVersion"], one["version"]["platform"]
    for name in ("groups", "schemas", "version"):
        if found[name] != recorded[name]:
            pytest.fail(f"{name} differ: run tests.contract.recording")
