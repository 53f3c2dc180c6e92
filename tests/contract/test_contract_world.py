"""What the tests of the control plane itself ask of pods, workloads, volumes and helm holds for the sandbox, too.

Left out: endpoints of Services, which the sandbox does not play.
"""

from __future__ import annotations

import pytest

from tests.controlplane import promises
from tests.controlplane.promises import TestCluster, TestHelm, TestVolumes, ns

__all__ = ["TestCluster", "TestHelm", "TestPods", "TestVolumes", "TestWorkloads", "ns"]

pytestmark = pytest.mark.parametrize("control_plane", ["sandbox"], indirect=True)


class TestPods(promises.TestPods):
    def test_a_log_can_be_asked_for(self, ns: promises.Namespaced) -> None:
        ns.apply(promises.pod("plain"))
        ns.wait("pod", "plain", "condition=Ready")
        assert "only plays this container" in ns.run("logs", "plain")


class TestWorkloads(promises.TestWorkloads):
    test_a_service_finds_its_pods = None  # type: ignore[assignment]
