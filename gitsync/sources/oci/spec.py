"""What is wanted of a registry, and what was found there: plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gitsync.oci import Repository
from gitsync.sources.oci.verification import CosignVerification

_LATEST = "latest"
#: Hexadecimal digits of a digest that a chart's version shows.
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ArtifactSpec:
    """An artifact of a repository: by digest, else by the highest tag in a semver range, of those that match
    ``semver_filter`` (a regular expression), else by tag. And its layer: by media type, else the first. When the
    layer is read as files, those that match ``ignore`` (as .sourceignore) are left out, unless it ``copies`` the
    layer as it is. With ``verification`` only an artifact that is signed as it demands is used."""

    repository: Repository
    tag: str = ""
    semver: str = ""
    semver_filter: str = ""
    digest: str = ""
    media_type: str = ""
    ignore: str | None = None
    copies: bool = False
    verification: CosignVerification | None = None

    @property
    def plain_tag(self) -> str:
        """The tag that is asked for where there is no range."""
        return self.tag or _LATEST

    @property
    def id(self) -> str:
        """The artifact's name in caches."""
        # What was found without verification, or verified by other keys, is another artifact.
        verified = self.verification.id if self.verification is not None else None
        parts = [self.repository.id, self.tag, self.semver, self.semver_filter, self.digest, self.media_type, verified]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()  # no part of it can pass for another


@dataclass(frozen=True, slots=True)
class OciArtifact:
    """An artifact that was fetched. ``revision`` is ``TAG@DIGEST`` of its manifest, or the digest alone, as Flux writes
    it; ``digest`` is the ``sha256:...`` of the layer's bytes, ``metadata`` the manifest's annotations."""

    revision: str
    digest: str
    size: int
    media_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def manifest(self) -> str:
        """The manifest's digest."""
        return self.revision.rpartition("@")[2]

    @property
    def build(self) -> str:
        """The build metadata that a chart's version gets from the artifact, as with Flux."""
        return self.manifest.rpartition(":")[2][:_SHOWN]

    @property
    def content(self) -> str:
        """The identity of a chart made of it: the manifest's digest, as with Flux, and the layer's, since one
        manifest may have several layers."""
        return f"{self.manifest}+{self.digest}"

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "metadata": dict(self.metadata)}

    @classmethod
    def read(cls, data: Any) -> OciArtifact | None:
        """An artifact from its ``data``; None for anything else."""
        try:
            return cls(
                str(data["revision"]),
                str(data["digest"]),
                int(data["size"]),
                str(data["media_type"]),
                {str(key): str(value) for key, value in data["metadata"].items()},
            )
        except (TypeError, KeyError, ValueError, AttributeError):
            return None
