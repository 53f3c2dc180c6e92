"""What the agent tells over HTTP: whether it lives, and whether it works."""

from gitsync.web.probes import Probes

__all__ = ["Probes"]
