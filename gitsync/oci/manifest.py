"""Manifests of artifacts: which layers there are. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitsync.errors import ArtifactError
from gitsync.oci.decoding import decoded
from gitsync.oci.digest import is_digest
from gitsync.text import shorten

#: What is asked for. An index is, too, so that what stands there is named and not taken for missing.
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
ACCEPT = ", ".join((*MANIFEST_TYPES, *_INDEX_TYPES))
_MAX_LAYERS = 1000
#: Annotations that are kept, in characters of all of them together: they go into a status.
_MAX_ANNOTATIONS = 16 * 1024
_LONGEST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob, or a manifest: its media type, digest, and size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest with this digest. ``config`` is None where there is none that can be read."""

    digest: str
    layers: tuple[Descriptor, ...]
    config: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    def layer(self, media_type: str = "") -> Descriptor:
        """The first layer of a media type, or of any. Raises: ArtifactError."""
        for item in self.layers:
            if media_type in ("", item.media_type):
                return item
        if not self.layers:
            raise ArtifactError("the artifact has no layers")
        found = ", ".join(sorted({shorten(item.media_type, _LONGEST_SHOWN) for item in self.layers})[:5])
        raise ArtifactError(
            f"the artifact has no layer of media type {shorten(media_type, _LONGEST_SHOWN)!r}, but {found}",
            hint="correct layerSelector.mediaType",
        )


def read_manifest(data: bytes | bytearray, digest: str, content_type: str) -> Manifest:
    """The manifest of one artifact; its bytes are known to have this ``digest``. ``content_type`` is the answer's, for
    one that does not say its own media type.

    Raises: ArtifactError for what is none, and for an index of several.
    """
    try:
        found = decoded(data)
    except ValueError:
        raise ArtifactError("what stands there is no manifest: it is no JSON") from None
    if not isinstance(found, dict):
        raise ArtifactError("what stands there is no manifest")
    media_type = found.get("mediaType") or content_type
    if media_type in _INDEX_TYPES or "manifests" in found:
        raise ArtifactError(
            "what stands there is an index of several artifacts, which is not supported",
            hint="name one of them by its digest in ref.digest",
        )
    if media_type not in MANIFEST_TYPES or not isinstance(found.get("layers"), list):
        raise ArtifactError(f"what stands there is no manifest: its media type is {_shown(media_type)}")
    layers = tuple(_descriptor(item) for item in found["layers"][:_MAX_LAYERS])
    config = found.get("config")
    return Manifest(
        digest,
        layers,
        _descriptor(config) if isinstance(config, dict) and config.get("digest") else None,
        _annotations(found.get("annotations")),
    )


def read_index(data: bytes | bytearray) -> tuple[Descriptor, ...]:
    """The manifests that an index lists. Raises: ArtifactError."""
    try:
        found = decoded(data)["manifests"]
    except (ValueError, KeyError, TypeError):
        raise ArtifactError("what stands there is no index") from None
    return tuple(_descriptor(item) for item in found[:_MAX_LAYERS]) if isinstance(found, list) else ()


def _descriptor(item: Any) -> Descriptor:
    if isinstance(item, dict):
        media_type, digest, size = item.get("mediaType"), item.get("digest"), item.get("size")
        if isinstance(digest, str) and is_digest(digest) and isinstance(size, int) and size >= 0:
            kind = media_type if isinstance(media_type, str) else ""
            return Descriptor(kind, digest, size, _annotations(item.get("annotations")))
    raise ArtifactError("the artifact's manifest names a blob without a digest and a size that can be used")


def _annotations(found: Any) -> dict[str, str]:
    kept: dict[str, str] = {}
    left = _MAX_ANNOTATIONS
    for name, value in found.items() if isinstance(found, dict) else ():
        if isinstance(value, str) and len(name) + len(value) <= left:
            kept[name] = value
            left -= len(name) + len(value)
    return kept


def _shown(text: Any) -> str:
    return repr(shorten(text, _LONGEST_SHOWN)) if isinstance(text, str) else "none"
