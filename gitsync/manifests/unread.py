"""What of a commit was passed over, and why: an object that was not read has not been removed from Git.

A values file or a README.yaml holds no objects, and nobody wants to be told so. But if a manifest becomes a submodule,
or loses its first two lines, the same silence would have its objects pruned. The inventory tells the two apart: an
object whose file is still there, but was not read, has not been removed by anybody.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.text import listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitsync.api import ObjectKey

_MAX_SHOWN: Final = 3
#: ``apps/a.yaml:3:1`` -> ``apps/a.yaml``
_FILE: Final = re.compile(r"(.*?)(?::[0-9]+){0,2}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Unread:
    """A part of a commit that was not read for objects: a file, a document of a file (``origin`` has its line), or all
    that is below a path (a submodule, a link to a directory).

    ``suspect``: it looks as if somebody meant it to be read.
    """

    origin: Origin
    reason: str
    suspect: bool = False


def unread_errors(unread: Iterable[Unread], leaving: Iterable[tuple[ObjectKey, str]]) -> list[ManifestError]:
    """The reasons not to prune: an error for each path in ``unread`` that objects of ``leaving`` came from.

    ``leaving`` are the objects that a sync is about to prune, each with its origin as the inventory has it, such as
    ``apps/a.yaml:3:1``. Pure.
    """
    by_file: dict[str, list[ObjectKey]] = {}
    for key, origin in leaving:
        by_file.setdefault(_file_of(origin), []).append(key)
    if not by_file:
        return []
    files = sorted(by_file)
    errors = []
    for path, part in _one_of_each_path(unread).items():
        keys = list(by_file.get(path, ()))
        for file in files[bisect_left(files, f"{path}/") : bisect_left(files, f"{path}0")]:  # "0" comes after "/"
            keys += by_file[file]
        if keys:
            errors.append(_error(part, keys))
    return errors


def _one_of_each_path(unread: Iterable[Unread]) -> dict[str, Unread]:
    """One document of each file: the first that looks as if it was meant to be read, else the first."""
    found: dict[str, Unread] = {}
    for part in unread:
        known = found.setdefault(part.origin.path, part)
        if part.suspect and not known.suspect:
            found[part.origin.path] = part
    return found


def _error(part: Unread, keys: list[ObjectKey]) -> ManifestError:
    stay = "stays as it is" if len(keys) == 1 else "stay as they are"
    return ManifestError(
        f"not read: {part.reason}; {listed(sorted(keys), _MAX_SHOWN)} came from here and {stay}",
        origin=part.origin,
        key=keys[0] if len(keys) == 1 else None,
        hint="put it right; to have that deleted, take it out of the repository or name it in .sourceignore",
    )


def _file_of(origin: str) -> str:
    match = _FILE.fullmatch(origin)
    return match[1] if match else origin
