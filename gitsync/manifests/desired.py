"""From the files of a commit to what it wants as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gitsync.errors import ManifestError
from gitsync.manifests.content import Desired, DesiredObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gitsync.api import CommitInfo, ObjectKey
    from gitsync.manifests.content import FileContent
    from gitsync.manifests.select import Selection

_MAX_PLACES = 3


def assemble(commit: CommitInfo, contents: Sequence[FileContent], selection: Selection) -> Desired:
    """What ``contents``, the files of ``selection`` in their order, come to. An object that is defined twice is an
    error at each place, and is not among the objects: which of them was meant cannot be known."""
    objects: dict[ObjectKey, DesiredObject] = {}
    count = 0
    errors = list(selection.errors)
    for content in contents:
        objects.update(content.by_key)
        count += len(content.objects)
        errors += content.errors
    if len(objects) != count:
        errors += _without_twins(objects, contents)
    return Desired(commit, objects, tuple(errors), len(contents), frozenset(selection.held))


def _without_twins(objects: dict[ObjectKey, DesiredObject], contents: Sequence[FileContent]) -> list[ManifestError]:
    """Takes what is defined more than once out of ``objects``."""
    places: dict[ObjectKey, list[DesiredObject]] = {}
    for content in contents:
        for item in content.objects:
            places.setdefault(item.key, []).append(item)
    errors = []
    for key, twins in places.items():
        if len(twins) == 1:
            continue
        del objects[key]
        for index, twin in enumerate(twins):
            others = [str(other.origin) for number, other in enumerate(twins[: _MAX_PLACES + 1]) if number != index]
            more = f" and {len(twins) - 1 - _MAX_PLACES} more" if len(twins) - 1 > _MAX_PLACES else ""
            message = f"{key} is also defined at {', '.join(others[:_MAX_PLACES])}{more}"
            errors.append(ManifestError(message, origin=twin.origin, key=key, hint="none of them is applied"))
    return errors
