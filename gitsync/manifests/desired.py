"""From the files of a commit to what it wants as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gitsync.errors import ManifestError
from gitsync.manifests.content import Desired, DesiredObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api import CommitInfo, ObjectKey
    from gitsync.manifests.content import FileContent, ManifestWarning
    from gitsync.manifests.select import Selection

log = structlog.get_logger(__name__)

_MAX_PLACES = 3


def assemble(commit: CommitInfo, contents: Sequence[FileContent], selection: Selection) -> Desired:
    """What ``contents``, the files of ``selection`` in their order, come to. An object that is defined twice with the
    same content is one object; with different content it is an error at each place and none of the objects, since
    nobody knows which of them was meant."""
    objects: dict[ObjectKey, DesiredObject] = {}
    count = 0
    errors = list(selection.errors)
    warnings: list[ManifestWarning] = []
    unread = list(selection.unread)
    for content in contents:
        objects.update((item.key, item) for item in content.objects)
        count += len(content.objects)
        errors += content.errors
        warnings += content.warnings
        unread += content.unread
    if len(objects) != count:
        errors += _settle_twins(objects, contents)
    held = frozenset(selection.held)
    kustomized = tuple(selection.kustomized)
    return Desired(
        commit, objects, tuple(errors), len(contents), held, tuple(warnings), tuple(unread), kustomized=kustomized
    )


def _settle_twins(objects: dict[ObjectKey, DesiredObject], contents: Sequence[FileContent]) -> list[ManifestError]:
    """Keeps in ``objects`` the first of several definitions of one object if they are all alike, else none of them."""
    places: dict[ObjectKey, list[DesiredObject]] = {}
    for content in contents:
        for item in content.objects:
            places.setdefault(item.key, []).append(item)
    errors = []
    for key, twins in places.items():
        if len(twins) == 1:
            continue
        if len({twin.digest for twin in twins}) == 1:
            objects[key] = twins[0]
            log.debug("defined twice with the same content", object=key, places=_places(twins, len(twins)))
            continue
        del objects[key]
        for number, twin in enumerate(twins):
            others = [other for index, other in enumerate(twins[: _MAX_PLACES + 1]) if index != number]
            message = f"{key} is also defined, with other content, at {_places(others, len(twins) - 1)}"
            errors.append(ManifestError(message, origin=twin.origin, key=key, hint="none of them is applied"))
    return errors


def _places(items: Sequence[DesiredObject], count: int) -> str:
    """The places of the first of ``count`` items."""
    more = f" and {count - _MAX_PLACES} more" if count > _MAX_PLACES else ""
    return ", ".join(str(item.origin) for item in items[:_MAX_PLACES]) + more
