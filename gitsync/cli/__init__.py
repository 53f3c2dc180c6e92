"""The command line: the only room that prints. One file per command group; heavy rooms are imported inside commands."""

from gitsync.cli.app import main

__all__ = ["main"]
