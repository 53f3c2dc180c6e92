"""What every other test relies on, on the test control plane: how pods, workloads, volumes and namespaces behave."""

from __future__ import annotations

from tests.controlplane.promises import TestCluster, TestHelm, TestPods, TestVolumes, TestWorkloads, ns

__all__ = ["TestCluster", "TestHelm", "TestPods", "TestVolumes", "TestWorkloads", "ns"]
