"""Which files of a commit are manifests to be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests.limits import MAX_TOTAL_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from gitsync.manifests.content import Entry
    from gitsync.manifests.ignore import IgnoreRules

log = structlog.get_logger(__name__)

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_CHART_FILE: Final = "Chart.yaml"
_KUSTOMIZATION_FILES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass
class Selection:
    """``files`` are to be read; ``held`` are manifests that are left alone for a reason that ``errors`` gives."""

    files: list[Entry] = field(default_factory=list)
    errors: list[ManifestError] = field(default_factory=list)
    held: set[str] = field(default_factory=set)


def select(entries: Iterable[Entry], root: str, rules: IgnoreRules) -> Selection:
    """The YAML and JSON files below ``root`` ("" for the whole repository) that are neither ignored, nor part of a Helm
    chart kept in the repository, nor to be built by kustomize."""
    candidates = [entry for entry in entries if _is_candidate(entry.path, root) and not rules.ignored(entry.path)]
    paths = [entry.path for entry in candidates]
    charts = {_directory(path) for path in paths if _name(path) == _CHART_FILE}
    for chart in sorted(charts):
        log.debug("chart left out of the manifests", path=chart or ".")
    in_chart = _below(charts)
    left = [entry for entry in candidates if not in_chart(entry.path)]
    selection = Selection(errors=list(rules.errors))
    kustomized = _kustomized(entry.path for entry in left)
    selection.errors += kustomized.errors
    is_held, is_broken = _below(kustomized.directories), _below(rules.broken)
    for entry in left:
        if is_held(entry.path) or is_broken(entry.path):
            selection.held.add(entry.path)
        else:
            selection.files.append(entry)
    _bound(selection, root)
    return selection


def normalised_root(root: str) -> str:
    """``./apps/prod/`` -> ``apps/prod``; "" for the repository itself."""
    return "/".join(part for part in root.split("/") if part not in ("", "."))


@dataclass
class _Kustomized:
    directories: set[str]
    errors: list[ManifestError]


def _kustomized(paths: Iterable[str]) -> _Kustomized:
    """Directories that kustomize would have to build. Until gitsync does, what is in them is left as it is in the
    cluster: applied one by one, patches would be taken for objects, and resources would miss their namespace."""
    files = {_directory(path): path for path in paths if _name(path) in _KUSTOMIZATION_FILES}
    inside = _below(files)
    errors = [
        ManifestError(
            "directories with a kustomization.yaml are not built yet: the files in and below this one are left alone",
            origin=Origin(path),
            hint="to apply them as they are, name the kustomization.yaml in .sourceignore",
        )
        for directory, path in sorted(files.items())
        if not (directory and inside(directory.removesuffix("/")))
    ]
    return _Kustomized(set(files), errors)


def _bound(selection: Selection, root: str) -> None:
    total = sum(entry.size for entry in selection.files)
    if total > MAX_TOTAL_BYTES:
        limit = MAX_TOTAL_BYTES // 1024 // 1024
        message = f"the manifests are {total // 1024 // 1024} MiB in all, over the limit of {limit} MiB; none is read"
        hint = "give a narrower path, or leave files out by .sourceignore"
        selection.errors.append(ManifestError(message, origin=Origin(root or "."), hint=hint))
        selection.held |= {entry.path for entry in selection.files}
        selection.files = []


def _is_candidate(path: str, root: str) -> bool:
    if not path.endswith(_SUFFIXES) and _name(path) not in _KUSTOMIZATION_FILES:
        return False
    return not root or path == root or path.startswith(root + "/")


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def _directory(path: str) -> str:
    """With its slash, so that "" is the root of the repository."""
    return path[: path.rfind("/") + 1]


def _below(directories: Container[str]) -> Callable[[str], bool]:
    """Whether a path is in or below one of ``directories``; each directory is looked at once."""
    known: dict[str, bool] = {}

    def inside(path: str) -> bool:
        directory = _directory(path)
        climbed = []
        while directory not in known:
            climbed.append(directory)
            known[directory] = directory in directories
            if known[directory] or not directory:
                break
            directory = _directory(directory[:-1])
        known.update(dict.fromkeys(climbed, known[directory]))
        return known[_directory(path)]

    return inside
