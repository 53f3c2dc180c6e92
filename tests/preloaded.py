"""What an agent or a command needs of gitsync, imported to be forked (``forked``); but for Helm, which each process
loads itself: Go's runtime begins threads, and these are not forked.
"""

import sys
from importlib import import_module
from types import ModuleType

_helm = ModuleType("helm_python")
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


def load_helm() -> None:
    """What all modules know as helm_python becomes it. For a process that has been forked."""
    del sys.modules["helm_python"]
    vars(_helm).update(vars(import_module("helm_python")))
