"""Desired against live, and one version against another: as data (``changes``, ``subset_differs``) and as text with
Secrets masked (``render_diff``); ``ignore`` says which fields do not count. Pure functions; nothing that leaves this
room shows a Secret's value.
"""

from gitsync.diff.change import Change, format_path, summary
from gitsync.diff.compare import changes, subset_differs
from gitsync.diff.normalise import normalised
from gitsync.diff.quantity import parse_quantity, same_quantity
from gitsync.diff.render import CONTEXT, DiffLine, render_diff
from gitsync.diff.secret import mask
from gitsync.diff.threeway import merge_patch
from gitsync.diff.yamltext import yaml_lines

__all__ = [
    "CONTEXT",
    "Change",
    "DiffLine",
    "changes",
    "format_path",
    "mask",
    "merge_patch",
    "normalised",
    "parse_quantity",
    "render_diff",
    "same_quantity",
    "subset_differs",
    "summary",
    "yaml_lines",
]
