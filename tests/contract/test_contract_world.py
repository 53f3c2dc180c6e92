"""What the tests of the control plane itself ask of pods, workloads, volumes and helm holds for the sandbox, too."""

from __future__ import annotations

import pytest

from tests.controlplane.test_controlplane import TestCluster, TestHelm, TestPods, TestVolumes, TestWorkloads, ns

__all__ = ["TestCluster", "TestHelm", "TestPods", "TestVolumes", "TestWorkloads", "ns"]

pytestmark = pytest.mark.parametrize("control_plane", ["sandbox"], indirect=True)
