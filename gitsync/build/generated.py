"""The kustomization of a directory that has none, as Flux generates it: all YAML files in and below it, and the
directories below that have one of their own (fluxcd/pkg, kustomize, "Generator"). Pure.

Two things Flux takes for errors are passed over, as everywhere in gitsync: files without any object, such as values
files, and Helm charts.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gitsync.api.identity import Origin
from gitsync.build.files import KUSTOMIZATION_FILES
from gitsync.build.heads import Head
from gitsync.errors import ManifestError
from gitsync.manifests import Unread
from gitsync.tree import TreeEntry

_SUFFIXES: Final = (".yaml", ".yml")
_CHART_FILE: Final = "Chart.yaml"
_IN_CHART: Final = "a file of a Helm chart, which only a HelmRelease applies"
_NO_OBJECT: Final = "a document without apiVersion and kind"
_UNREADABLE_HINT: Final = "put it right, or name it in .sourceignore"


@dataclass
class Scan:
    """What is below a directory: ``files`` are YAML files that may be resources, ``directories`` those with a
    kustomization; ``unread`` is what is passed over, ``errors`` are for what must not be."""

    files: list[TreeEntry] = field(default_factory=list)
    directories: list[str] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    errors: list[ManifestError] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many files were found, whatever becomes of them."""
        return len(self.files) + len(self.unread) + len(self.errors)


def scan(entries: Sequence[TreeEntry], directory: str, most: int) -> Scan:
    """Scan ``entries``, the files below ``directory``. Stops early once there are more than ``most``."""
    found = Scan()
    kustomized, charts = _marked(entries, KUSTOMIZATION_FILES), _marked(entries, (_CHART_FILE,))
    directories: set[str] = set()
    for entry in entries:
        above = _parents(entry.path, directory)
        owner = next((item for item in above if item in kustomized), None)
        chart = next((item for item in above if item in charts), None)
        if owner is not None and (chart is None or len(owner) <= len(chart)):
            directories.add(owner)
        elif chart is not None:
            if entry.path.endswith(_SUFFIXES):
                found.unread.append(Unread(Origin(entry.path), _IN_CHART))
        elif entry.unreadable:
            _cannot_be_read(entry, found)
        elif entry.path.endswith(_SUFFIXES):
            found.files.append(entry)
        if found.count > most:
            break
    found.directories = sorted(directories)
    return found


def fields_of(found: Scan, documents: Mapping[str, Sequence[Head]], directory: str) -> dict[str, list[str]]:
    """The fields of the generated kustomization. ``documents`` are those of the files found; files without an object
    are added to ``found.unread``."""
    resources = list(found.directories)
    for entry in found.files:
        heads = documents[entry.path]
        others = [head for head in heads if not head.is_object]
        if len(others) < len(heads):
            resources.append(entry.path)
            for head in others:
                origin = Origin(entry.path, head.line, head.column)
                hint = "kustomize refuses a file with such a document among its objects"
                found.errors.append(ManifestError(_NO_OBJECT, origin=origin, hint=hint))
        else:
            for head in others:
                origin = Origin(entry.path, head.line, head.column)
                found.unread.append(Unread(origin, _NO_OBJECT, suspect=bool(head.name)))
    return {"resources": resources_of(resources, directory)} if resources else {}


def resources_of(paths: Iterable[str], directory: str) -> list[str]:
    """Paths of the tree as a kustomization in ``directory`` names them."""
    start = len(directory) + 1 if directory else 0
    return sorted(f"./{path[start:]}" for path in paths)


def _cannot_be_read(entry: TreeEntry, found: Scan) -> None:
    if entry.path.endswith(_SUFFIXES):
        found.errors.append(ManifestError(entry.unreadable, origin=Origin(entry.path), hint=_UNREADABLE_HINT))
    else:
        found.unread.append(Unread(Origin(entry.path), entry.unreadable, suspect=True))


def _marked(entries: Sequence[TreeEntry], names: Sequence[str]) -> set[str]:
    """The directories that have a file of one of these names."""
    return {posixpath.dirname(entry.path) for entry in entries if posixpath.basename(entry.path) in names}


def _parents(path: str, directory: str) -> list[str]:
    """The directories between ``directory`` and the file, from the topmost on, without ``directory`` itself."""
    parts = path.split("/")
    first = directory.count("/") + 1 if directory else 0
    return ["/".join(parts[:count]) for count in range(first + 1, len(parts))]
