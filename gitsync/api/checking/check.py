"""Whether a manifest of our own kinds is what it should be, said field by field in plain words."""

from __future__ import annotations

from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gitsync.api.checking.rules import rules
from gitsync.api.fields import ApiModel, FieldError, FieldPath, dotted, explain, near_miss, shown
from gitsync.api.generator import ArtifactGenerator
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, group_of
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import EXTERNAL_ARTIFACT, HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP
from gitsync.api.notification import Alert, Provider
from gitsync.api.receiver import Receiver
from gitsync.api.resource import Resource
from gitsync.api.shapes import Shape, shapes, without_nulls
from gitsync.api.sources import Bucket, GitRepository, HelmChart, HelmRepository, OCIRepository

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MODELS: tuple[type[Resource], ...] = (
    HelmRelease,
    Kustomization,
    HelmRepository,
    GitRepository,
    OCIRepository,
    HelmChart,
    Bucket,
    ArtifactGenerator,
    Provider,
    Alert,
    Receiver,
)
#: The kinds that gitsync reads itself, by group and kind (a model's name is its kind).
RESOURCES: dict[tuple[str, str], type[Resource]] = {(model.group, model.__name__): model for model in _MODELS}

_FOREIGN_KINDS = {EXTERNAL_ARTIFACT}  # in our groups, but Flux's alone
_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = (
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
_MAX_ERRORS = 100


def check(manifest: Manifest) -> list[FieldError]:
    """What is wrong with a manifest of our own kinds; empty for a good one and for all other kinds.

    All problems are reported, in the order of their paths (no more than 100). A field set to null counts as unset.
    ``values`` and other free-form parts, and the status, are not looked into.
    """
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return []
    group = group_of(api_version)
    model = RESOURCES.get((group, kind))
    if model is None:
        return _unknown_kind(group, kind)
    found = _wrong_version(model, api_version)
    found += _wrong_types(model, manifest)
    found += islice(_unknown_fields(model, manifest), _MAX_ERRORS)  # each costs a search for what was meant
    found += rules(manifest)
    unique = {(error.path, error.message): error for error in found}
    return sorted(unique.values(), key=lambda error: [str(part) for part in error.path])[:_MAX_ERRORS]


def drop_nulls(manifest: Manifest) -> Manifest:
    """A manifest of our own kinds as it should be applied: without typed fields that are null.

    The API server drops these from what is created or updated, but refuses them in a server-side apply. Other kinds,
    and manifests without such fields, come back as they are.
    """
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return manifest
    model = RESOURCES.get((group_of(api_version), kind))
    if model is None:
        return manifest
    cleaned: Manifest = without_nulls(manifest, model)
    return cleaned


def _unknown_kind(group: str, kind: str) -> list[FieldError]:
    if group not in (HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP) or kind in _FOREIGN_KINDS:
        return []
    meant = near_miss(kind, (known for of, known in RESOURCES if of == group))
    return [FieldError(("kind",), f"{group} has no kind {shown(kind)}; did you mean {meant}?", meant)] if meant else []


def _wrong_version(model: type[Resource], api_version: str) -> list[FieldError]:
    version = api_version.rpartition("/")[2]
    if version in model.versions:
        return []
    newest = f"{model.group}/{model.versions[0]}"
    served = ", ".join(model.versions)
    return [FieldError(("apiVersion",), f"has no version {shown(version)}; there are {served}", newest)]


def _wrong_types(model: type[Resource], manifest: Manifest) -> list[FieldError]:
    try:
        model.model_validate(without_nulls(manifest, model))
    except ValidationError as error:
        return [explain(detail) for detail in error.errors(include_url=False)]
    return []


def _unknown_fields(model: type[Resource], manifest: Manifest) -> Iterator[FieldError]:
    for path in _strangers((), manifest, _TOP_LEVEL):
        yield _unknown(path, _TOP_LEVEL, model)
    for path in _strangers(("metadata",), manifest.get("metadata"), _METADATA):
        yield _unknown(path, _METADATA, None)
    yield from _walk(("spec",), manifest.get("spec"), shapes(model)["spec"], model)


def _walk(path: FieldPath, node: Any, shape: Shape, root: type[Resource]) -> Iterator[FieldError]:
    if shape.model is None:
        return
    if shape.repeated:
        for index, item in enumerate(node if isinstance(node, list) else ()):
            yield from _walk((*path, index), item, Shape(shape.model), root)
        return
    known = shapes(shape.model)
    for stranger in _strangers(path, node, known):
        yield _unknown(stranger, known, root)
    if isinstance(node, dict):
        for name, value in node.items():
            if name in known:
                yield from _walk((*path, name), value, known[name], root)


def _strangers(path: FieldPath, node: Any, known: Collection[str]) -> Iterator[FieldPath]:
    if isinstance(node, dict):
        yield from ((*path, name) for name in node if name not in known)


def _unknown(path: FieldPath, siblings: Collection[str], root: type[Resource] | None) -> FieldError:
    name = str(path[-1])
    squashed = {_squash(known): known for known in siblings}
    meant = squashed.get(_squash(name), "")
    if not meant and root is not None:
        homes = _homes_near(path, _homes(root).get(name, ()))
        if 0 < len(homes) <= 2:
            where = " or ".join(dotted(home).replace("[0]", "[]") for home in homes)
            return FieldError(path, f"unknown field here; it belongs in {where}")
    meant = meant or near_miss(name, siblings)
    return FieldError(path, "unknown field" + (f"; did you mean {meant}?" if meant else ""), meant)


def _squash(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


@cache
def _homes(root: type[Resource]) -> dict[str, tuple[FieldPath, ...]]:
    """Where in a resource each field name belongs; in a path 0 stands for any index."""
    homes: dict[str, list[FieldPath]] = {}

    def collect(path: FieldPath, model: type[ApiModel]) -> None:
        for name, shape in shapes(model).items():
            homes.setdefault(name, []).append(path)
            if shape.model is not None:
                collect((*path, name, 0) if shape.repeated else (*path, name), shape.model)

    spec = shapes(root)["spec"].model
    assert spec is not None
    collect(("spec",), spec)
    return {name: tuple(paths) for name, paths in homes.items()}


def _homes_near(stranger: FieldPath, homes: Collection[FieldPath]) -> list[FieldPath]:
    """The homes straight above or below where the field stands, those nearest to the top."""
    parent = [part for part in stranger[:-1] if isinstance(part, str)]
    related = []
    for home in homes:
        words = [part for part in home if isinstance(part, str)]
        shared = min(len(words), len(parent))
        if words[:shared] == parent[:shared]:
            related.append(home)
    depth = min((len(home) for home in related), default=0)
    return [home for home in related if len(home) == depth]
