"""Changes a release's objects between rendering and applying: ``postRenderers``, then ``commonMetadata``.

As in Flux and Helm 4 (pkg/action/action.go, annotateAndMerge): every object goes through kustomize with an annotation
that names its template. Patches see the annotation, and by it objects find back to their templates. One thing differs:
kustomize gets the objects as Kubernetes reads them, not the templates' text, so that ``yes`` stays a boolean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from gitsync import kubeyaml
from gitsync.charts import Rendered, Sourced, parse_objects, parts, reassembled
from gitsync.diff import yaml_lines
from gitsync.errors import KustomizeError, PostRenderError, YamlError
from gitsync.kustomize import KUSTOMIZATION, Kustomizer
from gitsync.release.postrender.commonmetadata import with_common_metadata
from gitsync.release.postrender.kustomization import MANIFEST, Step, kustomization, steps
from gitsync.text import MASK, leaves

if TYPE_CHECKING:
    from gitsync.api.helmrelease import HelmReleaseSpec
    from gitsync.api.identity import Manifest
    from gitsync.api.parts.rendering import CommonMetadata, PostRenderStrategy

#: Runs kustomize on these files; returns its output.
Kustomize = Callable[[Mapping[str, str]], Awaitable[str]]
#: Helm's annotation for the path of the template.
TEMPLATE = "postrenderer.helm.sh/postrender-filename"
_HINTS = {
    "patches": "a strategic merge patch needs apiVersion, kind and metadata.name, and without a target also the "
    "metadata.namespace that the chart writes; a JSON 6902 patch needs a target",
    "resources": "objects of one kind and name, one of them a hook, need postRenderStrategy separate or nohooks",
}


@dataclass(frozen=True, slots=True)
class PostRendering:
    """What is to be done to rendered objects, in the order of the fields."""

    renderers: tuple[tuple[Step, ...], ...]
    common_metadata: CommonMetadata | None
    strategy: PostRenderStrategy

    @classmethod
    def of(cls, spec: HelmReleaseSpec) -> PostRendering | None:
        """What a spec asks for, None when that is nothing."""
        found = (
            steps(item.kustomize, f"spec.postRenderers[{index}]") for index, item in enumerate(spec.post_renderers)
        )
        renderers = tuple(changes for changes in found if changes)
        if not renderers and spec.common_metadata is None:
            return None
        return cls(renderers, spec.common_metadata, spec.post_render_strategy)


async def post_rendered(rendered: Rendered, wanted: PostRendering, kustomizer: Kustomizer, owner: str = "") -> Rendered:
    """What was rendered, changed by ``wanted``, on behalf of ``owner``. By ``postRenderStrategy``, hooks are changed
    together with the objects, by themselves, or not at all.

    Raises: PostRenderError, KustomizeUnavailable.
    """
    objects, hooks = await asyncio.to_thread(parts, rendered)
    build = partial(kustomizer.build, owner=owner)
    match wanted.strategy:
        case "combined":
            done = await _changed([*objects, *hooks], wanted, build, "")
        case "separate":
            done = await _changed(hooks, wanted, build, "hooks-")
            done += await _changed(objects, wanted, build, "manifests-")
        case "nohooks":
            done = [*hooks, *await _changed(objects, wanted, build, "manifests-")]
    return await asyncio.to_thread(reassembled, rendered, done)


async def _changed(objects: Sequence[Sourced], wanted: PostRendering, build: Kustomize, group: str) -> list[Sourced]:
    if objects and wanted.renderers:
        text = await asyncio.to_thread(_annotated, objects)
        for changes in wanted.renderers:
            if text:  # a patch may have deleted the last object, and kustomize refuses an empty file
                text = await _kustomized(text, changes, build)
        objects = await asyncio.to_thread(_by_template, text, group)
    if (metadata := wanted.common_metadata) is not None:
        return [(path, with_common_metadata(item, metadata)) for path, item in objects]
    return list(objects)


async def _kustomized(text: str, changes: Sequence[Step], build: Kustomize) -> str:
    try:
        return await _build(text, changes, build)
    except KustomizeError as error:
        raise await _blamed(text, changes, build, error) from None


async def _build(text: str, changes: Sequence[Step], build: Kustomize) -> str:
    return await build({KUSTOMIZATION: kustomization(changes), MANIFEST: text})


async def _blamed(text: str, changes: Sequence[Step], build: Kustomize, error: KustomizeError) -> PostRenderError:
    """The error, with the change that is at fault, which kustomize does not name: found by bisection, as the last
    change of the shortest beginning that fails."""
    working, failing = -1, len(changes)
    while failing - working > 1:
        middle = (working + failing) // 2
        try:
            await _build(text, changes[:middle], build)
            working = middle
        except KustomizeError as found:
            failing, error = middle, found
    step = changes[failing - 1] if failing else Step("spec.postRenderers", "resources", {})
    why = await asyncio.to_thread(_why, step, error, text)
    return PostRenderError(f"{step.field}: {why}", field=step.field, hint=_HINTS.get(step.section, ""))


def _why(step: Step, error: KustomizeError, text: str) -> str:
    """What is wrong with a change, with the line if a patch is no YAML, which kustomize does not tell. Values of
    Secrets among the objects, and values that the patch sets, are masked, in case kustomize has quoted them."""
    start, content = 1, [item for item in parse_objects(text) if item["kind"] == "Secret"]
    try:
        for document in kubeyaml.split(step.change.get("patch", "")):
            start = document.line
            content.append(kubeyaml.load(document.text))
    except YamlError as fault:
        return f"line {start + fault.line - 1} of the patch: {fault.message}"
    words = {line for item in content for value in _set_by(item) for leaf in leaves(value) for line in leaf.split("\n")}
    why = error.message
    for word in sorted(filter(None, words), key=len, reverse=True):
        why = why.replace(word, MASK)
    return why


def _set_by(content: Any) -> Iterator[Any]:
    """The values in a patch or Secret, some of which may be secret; without names and paths."""
    if isinstance(content, dict):
        yield from (content.get(field) for field in ("data", "stringData"))
    elif isinstance(content, list):
        yield from (operation.get("value") for operation in content if isinstance(operation, dict))


def _annotated(objects: Iterable[Sourced]) -> str:
    return "\n---\n".join("\n".join(yaml_lines(_with_template(item, path))) for path, item in objects)


def _with_template(item: Manifest, path: str) -> Manifest:
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), TEMPLATE: path}}}


def _by_template(text: str, group: str) -> list[Sourced]:
    """The objects in kustomize's output, with the paths of their templates. One whose annotation was removed by a patch
    gets the path that Helm would give it."""
    found: list[Sourced] = []
    for number, item in enumerate(parse_objects(text)):
        metadata = dict(item["metadata"])
        annotations = dict(metadata.pop("annotations", None) or {})
        path = annotations.pop(TEMPLATE, None)
        if annotations:
            metadata["annotations"] = annotations
        if not isinstance(path, str) or not path.isprintable() or not path:
            path = f"generated-by-postrender-{group}{number}.yaml"  # a line feed in it would be a line of the manifest
        found.append((path, {**item, "metadata": metadata}))
    return found
