"""What is made of a file and of a commit: desired objects, and errors with their places."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from gitsync.api import Bucket, GitRepository, HelmChart, HelmRelease, HelmRepository, OCIRepository
from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import Origin
from gitsync.kubeyaml import Positions, positions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gitsync.api import CommitInfo, FieldPath, Manifest, ObjectKey, Resource
    from gitsync.api.sources import ChartHolder
    from gitsync.errors import ManifestError
    from gitsync.manifests.unread import Unread
    from gitsync.tree import Tree


class Source:
    """The text of a document of a file, which begins on a ``line`` of it; the places of its fields are worked out when
    they are asked for."""

    __slots__ = ("_path", "_positions", "line", "text")

    def __init__(self, path: str, text: str, line: int) -> None:
        self._path = path
        self.text = text
        self.line = line
        self._positions: Positions | None = None

    def at(self, path: str) -> Source:
        """The same content, of a file with another path."""
        return Source(path, self.text, self.line)

    def origin(self, path: Sequence[str | int]) -> Origin:
        """The place of a field of the document."""
        if self._positions is None:
            self._positions = positions(self.text)
        line, column = self._positions.find(path)
        return Origin(self._path, line + self.line - 1, column)


@dataclass(frozen=True, slots=True)
class DesiredObject:
    """An object as a commit wants it. ``digest`` is the SHA-256 of its canonical JSON, in hex.

    ``model`` is the typed form for kinds of our own, None for all others. ``sops`` is "" for an object that was not
    encrypted; ``opened`` for one that has been decrypted, whose values ``secrets`` are never shown, whatever its kind;
    ``sealed`` for one that is still encrypted, and must not be applied.
    """

    key: ObjectKey
    manifest: Manifest = field(repr=False)
    origin: Origin
    digest: str
    model: Resource | None = field(default=None, repr=False, compare=False)
    source: Source | None = field(default=None, repr=False, compare=False)
    base: FieldPath = field(default=(), repr=False, compare=False)
    sops: Literal["", "opened", "sealed"] = ""
    secrets: frozenset[str] = field(default=frozenset(), repr=False, compare=False)

    def field_origin(self, path: Sequence[str | int]) -> Origin:
        """Where a field such as ``("spec", "dependsOn", 0)`` is written; for one that is not, the place of the deepest
        part of its path that is. The first call reads the document's text again (a third of a millisecond each 1.5 KB).
        """
        if self.source is None:
            return self.origin
        return self.source.origin((*self.base, *path))


@dataclass(frozen=True, slots=True)
class ManifestWarning:
    """Something in the manifest of an object that is applied all the same. ``hint`` says what to do about it."""

    origin: Origin
    key: ObjectKey | None
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class FileContent:
    """What a file holds. A file that could not be read to its end has errors and no objects; an object with a fault is
    left out, and the others of its file are not. ``unread`` are the documents that are no objects."""

    objects: tuple[DesiredObject, ...] = ()
    errors: tuple[ManifestError, ...] = ()
    warnings: tuple[ManifestWarning, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True)
class Desired:
    """What a commit wants. ``files`` counts the files that were read; ``held`` are the paths of manifests that are left
    alone as they are, for a reason in ``errors``; ``unread`` is what else was passed over (see ``unread_errors``).

    ``tree`` is the whole tree that it was read from: charts and their values files are in it too. ``kustomized`` are
    directories with files for kustomize, which are yet to be built: their files are among ``held``. ``weight`` is about
    what its objects take in memory, in bytes, where that has been weighed.

    Of a directory that could not be built: ``is_unbuilt`` says that kustomize, or a file that it reads, is at fault,
    and no variable of postBuild; ``made_of`` is a digest of all that went into the build, so that one with the same
    digest need not be tried again.
    """

    commit: CommitInfo
    objects: dict[ObjectKey, DesiredObject]
    errors: tuple[ManifestError, ...] = ()
    files: int = 0
    held: frozenset[str] = frozenset()
    warnings: tuple[ManifestWarning, ...] = ()
    unread: tuple[Unread, ...] = ()
    tree: Tree | None = field(default=None, repr=False, compare=False)
    kustomized: tuple[str, ...] = ()
    is_unbuilt: bool = False
    made_of: str = ""
    weight: int = 0

    @cached_property
    def helm_releases(self) -> Mapping[ObjectKey, HelmRelease]:
        """The HelmReleases, typed."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, HelmRelease)}

    @cached_property
    def helm_repositories(self) -> Mapping[ObjectKey, HelmRepository]:
        """The HelmRepositories, typed."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, HelmRepository)}

    @cached_property
    def oci_repositories(self) -> Mapping[ObjectKey, OCIRepository]:
        """The OCIRepositories, typed."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, OCIRepository)}

    @cached_property
    def digest(self) -> str:
        """A SHA-256 of all objects, in hex."""
        digests = sorted(f"{key}={item.digest}" for key, item in self.objects.items())
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()

    @cached_property
    def git_repositories(self) -> Mapping[ObjectKey, GitRepository]:
        """The GitRepositories, typed; the synced one, too, where it names itself."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, GitRepository)}

    @cached_property
    def artifact_generators(self) -> Mapping[ObjectKey, ArtifactGenerator]:
        """The ArtifactGenerators, typed."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, ArtifactGenerator)}

    @cached_property
    def opened_values(self) -> frozenset[str]:
        """The decrypted values of all objects, which are never shown; without those that are names of objects."""
        found = {text for item in self.objects.values() for text in item.secrets}
        names = " ".join(f"{key.namespace} {key.name}" for key in self.objects) if found else ""
        return frozenset(text for text in found if text not in names)

    @cached_property
    def buckets(self) -> Mapping[ObjectKey, Bucket]:
        """The Buckets, typed."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, Bucket)}

    @cached_property
    def helm_charts(self) -> Mapping[ObjectKey, HelmChart]:
        """The HelmCharts, typed."""
        return {key: item.model for key, item in self.objects.items() if isinstance(item.model, HelmChart)}

    @property
    def chart_sources(self) -> Mapping[ObjectKey, ChartHolder]:
        """All sources in the commit that charts may come from."""
        sources = (self.helm_repositories, self.oci_repositories, self.git_repositories, self.buckets, self.helm_charts)
        return {key: item for found in sources for key, item in found.items()}

    @cached_property
    def bad_paths(self) -> frozenset[str]:
        """Paths of files whose objects are not known, since they could not be read. While there are any, nothing is
        pruned."""
        return self.held | {error.origin.path for error in self.errors}
