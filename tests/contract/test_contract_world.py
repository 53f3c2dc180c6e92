"""What the tests of the control plane itself ask of pods, workloads, volumes and helm holds for the sandbox, too.

Left out: endpoints of Services, which the sandbox does not play.
"""

from __future__ import annotations

import pytest

from tests.controlplane import test_controlplane
from tests.controlplane.test_controlplane import TestCluster, TestHelm, TestVolumes, ns

__all__ = ["TestCluster", "TestHelm", "TestPods", "TestVolumes", "TestWorkloads", "ns"]

pytestmark = pytest.mark.parametrize("control_plane", ["sandbox"], indirect=True)


class TestPods(test_controlplane.TestPods):
    def test_a_log_can_be_asked_for(self, ns: test_controlplane.Namespaced) -> None:
        ns.apply(test_controlplane.pod("plain"))
        ns.wait("pod", "plain", "condition=Ready")
        assert "only plays this container" in ns.run("logs", "plain")


class TestWorkloads(test_controlplane.TestWorkloads):
    test_a_service_finds_its_pods = None  # type: ignore[assignment]
