"""What the tests of the control plane itself ask of pods, workloads, volumes and helm holds for the sandbox, too.

Left out: endpoints of Services, which the sandbox does not play.
"""

from __future__ import annotations

import pytest

from tests.controlplane import test_controlplane
from tests.controlplane.test_controlplane import TestCluster, TestHelm, TestPods, TestVolumes, ns

__all__ = ["TestCluster", "TestHelm", "TestPods", "TestVolumes", "TestWorkloads", "ns"]

pytestmark = pytest.mark.parametrize("control_plane", ["sandbox"], indirect=True)


class TestWorkloads(test_controlplane.TestWorkloads):
    test_a_service_finds_its_pods = None  # type: ignore[assignment]
