"""What all tests share: the real control plane (tests/controlplane), and patience with slow machines."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.controlplane.fixtures"]

# How long an example takes says more about the neighbours on the machine than about the code; a test that is about
# time measures it.
settings.register_profile("gitsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gitsync")
