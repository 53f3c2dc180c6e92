"""``spec.postRenderers`` as kustomize reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from gitsync.api.fields import ApiModel
from gitsync.api.parts.rendering import Kustomize
from gitsync.diff import yaml_lines

MANIFEST: Final = "manifest.yaml"


class Step(NamedTuple):
    """One change: the ``field`` that asks for it, and its entry in a section of a kustomization."""

    field: str
    section: Literal["resources", "patches", "images"]
    change: dict[str, Any]


def steps(wanted: Kustomize | None, field: str) -> tuple[Step, ...]:
    """The changes of one post-renderer (at ``field``), in kustomize's order.

    The deprecated kinds of patches become ``patches``, in that order. So nothing in them can name a file, as an entry
    of kustomize's own patchesStrategicMerge may.
    """
    return tuple(_steps(wanted, f"{field}.kustomize")) if wanted else ()


def _steps(wanted: Kustomize, field: str) -> Iterator[Step]:
    for index, merge in enumerate(wanted.patches_strategic_merge):
        yield Step(f"{field}.patchesStrategicMerge[{index}]", "patches", {"patch": _yaml(merge)})
    for index, patch in enumerate(wanted.patches):
        yield Step(f"{field}.patches[{index}]", "patches", {"patch": patch.patch} | _target(patch.target))
    for index, json_patch in enumerate(wanted.patches_json6902):
        # A null that was written in the manifest is a value of the patch; a field that was not written is none.
        operations = [item.model_dump(by_alias=True, exclude_unset=True) for item in json_patch.patch]
        change = {"patch": _yaml(operations)} | _target(json_patch.target)
        yield Step(f"{field}.patchesJson6902[{index}]", "patches", change)
    for index, image in enumerate(wanted.images):
        yield Step(f"{field}.images[{index}]", "images", _fields(image))


def kustomization(changes: Sequence[Step]) -> str:
    """The ``kustomization.yaml`` that makes these changes to MANIFEST, and leaves its order as it is (as Flux does)."""
    content: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [MANIFEST],
        "sortOptions": {"order": "fifo"},
    }
    for step in changes:
        content.setdefault(step.section, []).append(step.change)
    return _yaml(content)


def _target(selector: ApiModel | None) -> dict[str, Any]:
    return {} if selector is None else {"target": _fields(selector)}


def _fields(model: ApiModel) -> dict[str, Any]:
    return model.model_dump(by_alias=True, exclude_defaults=True)


def _yaml(value: Any) -> str:
    # Not JSON, which writes what is beyond 16 bits as two escapes that YAML does not put together.
    return "\n".join(yaml_lines(value)) + "\n"
