"""Taking apart what was rendered, and putting it together again after changes, as Helm 4 does it. Blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from gitsync.diff import yaml_lines
from gitsync.helm.hooks import sort_out
from gitsync.helm.manifest import sourced_objects
from gitsync.helm.rendered import Rendered

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: An object and the path of the template that it came from.
Sourced = tuple[str, "Manifest"]


def parts(rendered: Rendered) -> tuple[list[Sourced], list[Sourced]]:
    """The objects of the manifest, and the hooks. CRDs of ``crds/`` are not among them. They must not be changed."""
    return list(sourced_objects(rendered.manifest)), [(hook.path, hook.object) for hook in rendered.hooks]


def reassembled(rendered: Rendered, objects: Iterable[Sourced]) -> Rendered:
    """What was rendered, with these objects in place of its own.

    As in Helm 4, what is a hook, and when it runs, is decided anew.

    Raises: RenderError for what is no object any more.
    """
    texts: dict[str, list[str]] = {}
    for path, item in objects:
        texts.setdefault(path, []).append("\n".join(yaml_lines(item)))
    found = sort_out("", {path: "\n---\n".join(documents) for path, documents in texts.items()})
    return replace(rendered, manifest=found.manifest, objects=found.objects, hooks=found.hooks)
