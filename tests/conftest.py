"""What all tests share: the real control plane (see tests/controlplane)."""

pytest_plugins = ["tests.controlplane.fixtures"]
