"""What all tests share: the real control plane (tests/controlplane), and patience with slow machines."""

import signal
import threading

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.controlplane.fixtures"]

# How long an example takes says more about the neighbours on the machine than about the code; a test that is about
# time measures it.
settings.register_profile("gitsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gitsync")

# A shell without job control starts ``command &`` with Ctrl-C ignored, and what the tests start would ignore it, too,
# also where it is to be ended by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
