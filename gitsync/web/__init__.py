"""What the agent tells over HTTP: whether it lives and works (``probes``), and what it has counted (``metrics``, which
tells of ``resources`` too, in the form of ``exposition``); ``serving`` is the port."""

from gitsync.web.metrics import Metrics
from gitsync.web.probes import Probes

__all__ = ["Metrics", "Probes"]
