"""Which files of a commit are manifests to be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests.limits import MAX_FILES, MAX_TOTAL_BYTES
from gitsync.manifests.unread import Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from gitsync.manifests.ignore import IgnoreRules
    from gitsync.tree import TreeEntry

log = structlog.get_logger(__name__)

_YAML: Final = (".yaml", ".yml")
_JSON: Final = ".json"
_CHART_FILE: Final = "Chart.yaml"
_KUSTOMIZATION_FILES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_UNREADABLE_HINT: Final = "put it right, or name it in .sourceignore"
_IN_CHART: Final = "a file of a Helm chart, which only a HelmRelease applies"
_JSON_FILE: Final = "a .json file, which is read only where the setting json_manifests is on"


@dataclass
class Selection:
    """Which files of a commit to read. ``files`` are to be read; ``held`` are the paths of manifests that are not read
    for a reason in ``errors``; ``unread`` is what else is passed over, which is an error only where objects came from
    it before. ``kustomized`` are the directories that kustomize has to build, the outermost of several inside each
    other; all that is in them is ``held``."""

    files: list[TreeEntry] = field(default_factory=list)
    errors: list[ManifestError] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    unread: list[Unread] = field(default_factory=list)
    kustomized: list[str] = field(default_factory=list)


def select(entries: Iterable[TreeEntry], root: str, rules: IgnoreRules, *, json_manifests: bool = False) -> Selection:
    """The YAML files (and JSON files, if ``json_manifests``) below ``root`` ("" for the whole repository) that are
    neither ignored, nor part of a Helm chart kept in the repository, nor to be built by kustomize.

    What is ignored is left out because its author says so, and is in none of the lists.
    """
    suffixes = (*_YAML, _JSON) if json_manifests else _YAML
    candidates = [entry for entry in entries if _is_candidate(entry, root) and not _is_ignored(entry, rules)]
    paths = [entry.path for entry in candidates]
    charts = {_directory(path) for path in paths if _name(path) == _CHART_FILE}
    for chart in sorted(charts):
        log.debug("chart left out of the manifests", path=chart or ".")
    in_chart = _below(charts)
    left = [entry for entry in candidates if not in_chart(entry.path)]
    selection = Selection(errors=list(rules.errors))
    selection.unread += [
        Unread(Origin(entry.path), entry.unreadable or _IN_CHART) for entry in candidates if in_chart(entry.path)
    ]
    selection.kustomized = _kustomized(entry.path for entry in left)
    is_held, is_broken = _below({f"{path}/" if path else "" for path in selection.kustomized}), _below(rules.broken)
    for entry in left:
        if is_held(entry.path) or is_broken(entry.path):
            selection.held.add(entry.path)
        else:
            _classify(entry, suffixes, selection)
    _bound(selection, root)
    return selection


def _classify(entry: TreeEntry, suffixes: tuple[str, ...], selection: Selection) -> None:
    is_manifest = entry.path.endswith(suffixes)
    if entry.unreadable and is_manifest:
        error = ManifestError(entry.unreadable, origin=Origin(entry.path), hint=_UNREADABLE_HINT)
        selection.errors.append(error)
    elif entry.unreadable:
        log.debug("not read", path=entry.path, reason=entry.unreadable)
        selection.unread.append(Unread(Origin(entry.path), entry.unreadable, suspect=True))
    elif is_manifest:
        selection.files.append(entry)
    else:
        selection.unread.append(Unread(Origin(entry.path), _JSON_FILE))


def normalised_root(root: str) -> str:
    """``./apps/prod/`` -> ``apps/prod``; "" for the repository itself."""
    return "/".join(part for part in root.split("/") if part not in ("", "."))


def _kustomized(paths: Iterable[str]) -> list[str]:
    """Directories that kustomize has to build: applied file by file, a patch would be taken for an object, and objects
    would lose their namespace."""
    found = {_directory(path) for path in paths if _name(path) in _KUSTOMIZATION_FILES}
    inside = _below(found)
    return sorted(
        directory.removesuffix("/") for directory in found if not (directory and inside(directory.removesuffix("/")))
    )


def _bound(selection: Selection, root: str) -> None:
    total = sum(entry.size for entry in selection.files)
    if total > MAX_TOTAL_BYTES:
        limit = MAX_TOTAL_BYTES >> 20
        read_none(selection, root, f"the manifests are {total >> 20} MiB in all, over the limit of {limit} MiB")
    if len(selection.files) > MAX_FILES:
        read_none(selection, root, f"there are {len(selection.files):,} manifests, over the limit of {MAX_FILES:,}")


def read_none(selection: Selection, root: str, why: str) -> None:
    """Read no file at all, because there is too much of them: all are ``held``, for the reason ``why``."""
    hint = "give a narrower path, or leave files out by .sourceignore"
    selection.errors.append(ManifestError(f"{why}; none is read", origin=Origin(root or "."), hint=hint))
    selection.held |= {entry.path for entry in selection.files}
    selection.files = []


def _is_candidate(entry: TreeEntry, root: str) -> bool:
    """Whether an entry may be a manifest by its name and place, or cannot be read and objects may have been there."""
    path = entry.path
    if entry.unreadable:
        return not root or path == root or path.startswith(root + "/") or root.startswith(path + "/")
    if not path.endswith((*_YAML, _JSON)) and _name(path) not in _KUSTOMIZATION_FILES:
        return False
    return not root or path == root or path.startswith(root + "/")


def _is_ignored(entry: TreeEntry, rules: IgnoreRules) -> bool:
    """Whether an entry is ignored. A submodule or link counts as a directory, too: the pattern ``lib/`` ignores it."""
    return rules.ignored(entry.path) or (bool(entry.unreadable) and rules.ignored(entry.path + "/"))


def _name(path: str) -> str:
    return path[path.rfind("/") + 1 :]


def _directory(path: str) -> str:
    """The directory of a path, with a slash at its end; "" for the root of the repository."""
    return path[: path.rfind("/") + 1]


def _below(directories: Container[str]) -> Callable[[str], bool]:
    """A function that tells whether a path is in or below one of ``directories``, in time linear in all paths asked."""
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
