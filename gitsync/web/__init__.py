"""What is told over HTTP: whether the agent lives and works (``probes``), what it has counted (``metrics``, which tells
of ``resources`` too, in the form of ``exposition``), and the page of ``gitsync ui`` (``ui``). ``serving`` is a port.
What is asked for over HTTP is a matter of ``receivers``."""

from gitsync.web.metrics import Metrics
from gitsync.web.probes import Probes

__all__ = ["Metrics", "Probes"]
