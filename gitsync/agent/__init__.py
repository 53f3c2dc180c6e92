"""The composition root: makes the parts, starts them, stops them in order."""

from gitsync.agent.agent import run
from gitsync.agent.config import ConfigFile

__all__ = ["ConfigFile", "run"]
