"""Translates places in an artifact that a generator has made of a repository to places in the repository, where
errors are looked for. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gitsync.api.identity import Origin
from gitsync.errors import ManifestError
from gitsync.manifests import Desired, DesiredObject
from gitsync.tree import TreeEntry


def paths_in(repository: Iterable[TreeEntry], artifact: Iterable[TreeEntry]) -> dict[str, str]:
    """The repository's paths of an artifact's files: of several with the same content that whose path ends as in the
    artifact. What was merged or unpacked for it has none."""
    wanted = list(artifact)
    contents = {entry.blob_id for entry in wanted if entry.blob_id}
    found: dict[str, list[str]] = {}
    for entry in repository:
        if entry.blob_id in contents:
            found.setdefault(entry.blob_id, []).append(entry.path)
    return {
        entry.path: max(found[entry.blob_id], key=lambda path: _shared(path, entry.path))
        for entry in wanted
        if entry.blob_id in found
    }


def placed(built: Desired, paths: Mapping[str, str]) -> Desired:
    """What was built of an artifact, with the repository's places."""

    def place(origin: Origin) -> Origin:
        return replace(origin, path=paths.get(origin.path, origin.path))

    def moved(item: DesiredObject) -> DesiredObject:
        source = item.source.at(place(item.origin).path) if item.source is not None else None
        return replace(item, origin=place(item.origin), source=source)

    def wrong(error: ManifestError) -> ManifestError:
        # Another one: what was built is remembered as it is in the artifact.
        where = place(error.origin)
        return type(error)(error.message, origin=where, field=error.field, key=error.key, hint=error.hint)

    return replace(
        built,
        errors=tuple(map(wrong, built.errors)),
        objects={key: moved(item) for key, item in built.objects.items()},
        warnings=tuple(replace(warning, origin=place(warning.origin)) for warning in built.warnings),
        unread=tuple(replace(part, origin=place(part.origin)) for part in built.unread),
    )


def _shared(one: str, other: str) -> int:
    """How many parts two paths have in common at their ends."""
    common = posixpath.commonprefix([one.split("/")[::-1], other.split("/")[::-1]])
    return len(common)
