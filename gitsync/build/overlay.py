"""What a Kustomization's spec adds to the kustomization of its directory, in Flux's order (fluxcd/pkg, kustomize,
"Generator"). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from gitsync.build.spec import BuildSpec

ORIGIN_ANNOTATIONS: Final = "originAnnotations"
_SELECTOR: Final = ("group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector")
_LISTS: Final = ("patches", "components", "patchesStrategicMerge", "patchesJson6902")
_IMAGE: Final = ("name", "newName", "newTag", "digest")


def overlaid(fields: Mapping[str, Any], spec: BuildSpec, is_there: Callable[[str], bool]) -> dict[str, Any]:
    """The fields of a directory's kustomization after ``spec``. ``is_there`` tells whether a component is, by its path
    as it is written.

    A kustomization that comes to nothing builds to no objects, which kustomize itself would call an error.
    """
    result = dict(fields)
    for name, value in (
        ("namespace", spec.target_namespace),
        ("namePrefix", spec.name_prefix),
        ("nameSuffix", spec.name_suffix),
    ):
        if value:
            result[name] = value
    _append(result, "patches", [_patch(patch, patch.get("patch", "")) for patch in spec.patches])
    components = [item for item in spec.components if not spec.ignore_missing_components or is_there(item)]
    _append(result, "components", components)
    _append(result, "patchesStrategicMerge", [json.dumps(patch) for patch in spec.patches_strategic_merge])
    _append(
        result,
        "patchesJson6902",
        [_patch(patch, json.dumps(patch.get("patch") or [])) for patch in spec.patches_json6902],
    )
    if spec.images:
        result["images"] = _with_images(result.get("images"), spec.images)
    if spec.build_metadata:
        result["buildMetadata"] = list(spec.build_metadata)
    return result


def leaves_alone(spec: BuildSpec) -> bool:
    """Whether a spec asks kustomize for nothing that has to do with more than one object at a time."""
    return not (
        spec.target_namespace
        or spec.name_prefix
        or spec.name_suffix
        or spec.components
        or spec.images
        or spec.patches
        or spec.patches_strategic_merge
        or spec.patches_json6902
    )


def own_entries(fields: Mapping[str, Any]) -> dict[str, int]:
    """How many entries of the lists to which a spec adds are a kustomization's own."""
    return {name: len(value) if isinstance(value := fields.get(name), list) else 0 for name in _LISTS}


def with_origins(fields: Mapping[str, Any]) -> tuple[list[str], bool]:
    """``buildMetadata`` with origin annotations, and whether they were asked for anyway."""
    asked = fields.get("buildMetadata")
    metadata = [item for item in asked if isinstance(item, str)] if isinstance(asked, list) else []
    if ORIGIN_ANNOTATIONS in metadata:
        return metadata, True
    return [*metadata, ORIGIN_ANNOTATIONS], False


def _append(fields: dict[str, Any], name: str, added: list[Any]) -> None:
    if added:
        existing = fields.get(name)
        fields[name] = [*(existing if isinstance(existing, list) else ()), *added]


def _patch(patch: Mapping[str, Any], text: str) -> dict[str, Any]:
    """As kustomize has it. A target without any field is one: for it, it matches everything."""
    target = patch.get("target")
    if target is None:
        return {"patch": text}
    return {"patch": text, "target": {name: target[name] for name in _SELECTOR if target.get(name)}}


def _with_images(existing: Any, wanted: tuple[dict[str, Any], ...]) -> list[Any]:
    """An image of the same name is overridden field by field, but tag and digest together."""
    images = [dict(image) if isinstance(image, dict) else image for image in existing or ()]
    for image in wanted:
        known = next(
            (item for item in images if isinstance(item, dict) and item.get("name") == image.get("name")), None
        )
        if known is None:
            images.append({name: image[name] for name in _IMAGE if image.get(name)})
            continue
        if image.get("newName"):
            known["newName"] = image["newName"]
        if image.get("newTag") or image.get("digest"):
            known["newTag"], known["digest"] = image.get("newTag") or "", image.get("digest") or ""
    return images
