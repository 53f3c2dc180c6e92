"""The composition root: makes the parts, starts them, stops them in order."""

from gitsync.agent.agent import run

__all__ = ["run"]
