"""Changing what was rendered before it is installed, as a post-renderer of Helm 4 does. Blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.charts.hooks import sort_out
from gitsync.charts.model import Rendered
from gitsync.charts.objects import sourced_objects
from gitsync.diff import yaml_lines

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: An object and the path of the template that it came from.
Sourced = tuple[str, "Manifest"]


def reworked(rendered: Rendered, change: Callable[[list[Sourced]], Iterable[Sourced]]) -> Rendered:
    """What was rendered after ``change``, which must leave the objects it is given as they are and return its own.

    As in Helm 4 (PostRenderStrategyCombined), hooks are among the objects, and what is a hook, and when it runs, is
    decided afterwards. CRDs of ``crds/`` are not among them.

    Raises: RenderError for what is no object any more.
    """
    objects = list(sourced_objects(rendered.manifest))
    objects += [(hook.path, hook.object) for hook in rendered.hooks]
    texts: dict[str, list[str]] = {}
    for path, item in change(objects):
        texts.setdefault(path, []).append("\n".join(yaml_lines(item)))
    found = sort_out("", {path: "\n---\n".join(parts) for path, parts in texts.items()})
    return replace(rendered, manifest=found.manifest, objects=found.objects, hooks=found.hooks)
