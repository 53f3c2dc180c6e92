"""What an agent or a command needs of gitsync, imported to be forked (``forked``); but for Helm, which each process
loads itself when it first has a use for it: Go's runtime begins threads, and these are not forked.
"""

import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import Any

_lock = threading.Lock()


def _wanted(name: str) -> Any:
    """What somebody asks of Helm for the first time; nobody does while modules are imported."""
    if name.startswith("__"):
        raise AttributeError(name)
    with _lock:
        if "__getattr__" in vars(_helm):
            del sys.modules["helm_python"]
            vars(_helm).update(vars(import_module("helm_python")))
            del vars(_helm)["__getattr__"]  # last: until then whoever misses something waits here
    return getattr(_helm, name)


_helm = ModuleType("helm_python")
vars(_helm)["__getattr__"] = _wanted
sys.modules["helm_python"] = _helm
for name in (
    "aiohttp.web",
    "cryptography.x509",
    "kubernetes.aio.client",
    "kubernetes.aio.config",
    "rich.live",
    "gitsync.agent",
    "gitsync.cli.agent.run",
    "gitsync.cli.cluster.get",
    "gitsync.cli.repository.log",
    "gitsync.cli.repository.plan",
):
    import_module(name)
