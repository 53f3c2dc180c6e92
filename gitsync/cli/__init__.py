"""The command line: the only room that prints.

A command is one file: in ``agent``, ``cluster`` or ``repository``, by what it is about. Each is imported when it is run
or asked for its help (``app``, ``common.lazy``), so that `gitsync --help` stays quick.
"""

from gitsync.cli.app import main

__all__ = ["main"]
