"""What is told over HTTP: whether the agent lives and works (``probes``), and the page of ``gitsync ui`` (``ui``)."""

from gitsync.web.probes import Probes

__all__ = ["Probes"]
