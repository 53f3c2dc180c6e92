"""What all tests share: the real control plane (tests/controlplane), and patience with slow machines."""

import signal
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.controlplane.fixtures"]
# Tests that several modules run, each against a cluster of its own.
pytest.register_assert_rewrite("tests.cluster.conformance", "tests.controlplane.conformance")

# Hypothesis measures how long examples take, which on a shared machine says little about the code. A test that is about
# time measures it itself.
settings.register_profile("gitsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gitsync")

# A shell without job control starts ``command &`` with SIGINT ignored, and the tests' processes would inherit that,
# though some tests end them by SIGINT.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Where whole agents run, each in a cluster: left to ``make test-e2e``, a new file too, but for these, which show what
#: the README promises. Elsewhere a test that takes as long says so itself (``pytest.mark.e2e``).
E2E = Path(__file__).with_name("e2e")
PROMISES = frozenset(f"test_e2e_{name}.py" for name in ("story", "prune", "kustomization"))


@pytest.hookimpl(tryfirst=True)  # before -m is heeded
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(E2E) and item.path.name not in PROMISES:
            item.add_marker(pytest.mark.e2e)
