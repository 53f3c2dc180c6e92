"""Texts that stand for something else than themselves: pointers of Git LFS, documents encrypted with SOPS, variables of
Flux's postBuild substitution where nothing replaces them. Each is an error that names it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from gitsync.api import dotted
from gitsync.api.builtin import is_builtin
from gitsync.api.identity import group_of
from gitsync.api.names import HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP
from gitsync.manifests.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gitsync.api import FieldPath, Manifest

LFS_POINTER: Final = "a pointer of Git LFS, whose content gitsync does not fetch"
ENCRYPTED: Final = "encrypted with SOPS, and nothing decrypts it here"

#: The first line of a pointer, today's and the one of its predecessor (git-lfs, docs/spec.md).
_LFS: Final = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\r?\n")
_ENCRYPTED_VALUE: Final = "ENC["
#: The annotation of an object that is to be applied encrypted.
_DECRYPT_KEY: Final = f"{KUSTOMIZE_GROUP}/decrypt"
_DECRYPT_DISABLED: Final = "disabled"
#: Kinds that are applied encrypted: their controller decrypts them in the cluster.
_MEANT_ENCRYPTED: Final = frozenset((("isindir.github.com", "SopsSecret"),))
#: A variable as kustomize-controller replaces it; ``$${name}`` is an escaped one, which stays.
_VARIABLE: Final = re.compile(r"(?<!\$)\$\{([_A-Za-z][_A-Za-z0-9]*)")
#: Fields of Flux's kinds that hold free text, where ``${name}`` may be meant as it is written. What a Kustomization
#: patches into its objects, and its images, are in them when its own ``postBuild`` replaces their variables.
_FREE_TEXT: Final = frozenset(
    (
        ("metadata", "annotations"),
        ("spec", "commonMetadata", "annotations"),
        ("spec", "images"),
        ("spec", "patches"),
        ("spec", "patchesJson6902"),
        ("spec", "patchesStrategicMerge"),
        ("spec", "postBuild", "substitute"),
        ("spec", "postRenderers"),
        ("spec", "values"),
    )
)


def is_lfs_pointer(data: bytes) -> bool:
    """Whether a file is a pointer of Git LFS in place of the content that it stands for."""
    return _LFS.match(data) is not None


def is_encrypted(value: dict[str, Any]) -> bool:
    """Whether SOPS has encrypted a document: it adds a mapping ``sops`` beside what it has encrypted, which with some
    rules is even apiVersion and kind. SOPS leaves keys as they are."""
    api_version, kind = value.get("apiVersion"), value.get("kind")
    if has_encrypted_kind(value):
        return True
    if isinstance(api_version, str) and isinstance(kind, str) and (group_of(api_version), kind) in _MEANT_ENCRYPTED:
        return False
    return isinstance(value.get("sops"), dict)


def has_encrypted_kind(value: dict[str, Any]) -> bool:
    """Whether even apiVersion or kind of an object is encrypted, because the rules had SOPS encrypt everything."""
    head = value.get("apiVersion"), value.get("kind")
    return any(isinstance(field, str) and field.startswith(_ENCRYPTED_VALUE) for field in head)


def stays_encrypted(value: Mapping[str, Any]) -> bool:
    """Whether an object is to be applied as it is, encrypted: ``kustomize.toolkit.fluxcd.io/decrypt: disabled``."""
    metadata = value.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    said = annotations.get(_DECRYPT_KEY) if isinstance(annotations, dict) else None
    return isinstance(said, str) and said.casefold() == _DECRYPT_DISABLED


def as_it_stays(value: dict[str, Any]) -> dict[str, Any]:
    """An object that ``stays_encrypted``, as it is applied: of Kubernetes' own kinds without ``sops``, for which they
    have no field (as Flux does). Without that, nothing can decrypt them any more."""
    is_ours_to_cut = is_builtin(group_of(str(value.get("apiVersion", ""))))
    return {name: found for name, found in value.items() if name != "sops"} if is_ours_to_cut else value


def variable_faults(manifest: Manifest) -> Iterator[Fault]:
    """Variables where ``${name}`` cannot be meant as it is written: in what identifies an object, in its labels, and in
    the typed fields of HelmReleases, Kustomizations and sources. Elsewhere, as in a script in a ConfigMap, it may
    be."""
    for path, text in _typed_texts(manifest):
        if found := _VARIABLE.search(text):
            message = (
                f"{dotted(path)}: `${{{found[1]}}}` is a variable of Flux's postBuild substitution, "
                "which nothing here replaces"
            )
            yield Fault(path, message, "write the value itself, or give the Kustomization a postBuild")


def _typed_texts(manifest: Manifest) -> Iterator[tuple[FieldPath, str]]:
    api_version, metadata = manifest.get("apiVersion"), manifest.get("metadata")
    if isinstance(api_version, str) and group_of(api_version) in (HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP):
        yield from _texts(manifest, ())
        return
    yield from _texts({name: manifest.get(name) for name in ("apiVersion", "kind")}, ())
    if isinstance(metadata, dict):
        identity = {name: metadata.get(name) for name in ("name", "namespace", "labels")}
        yield from _texts(identity, ("metadata",))


def _texts(value: Any, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list) and path not in _FREE_TEXT:
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(child, (*path, key))
