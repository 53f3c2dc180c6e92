"""Which objects of a bucket are in its artifact. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gitsync.errors import ArtifactError
from gitsync.manifests.ignore import IGNORE_FILE, IgnoreRules
from gitsync.s3 import Item
from gitsync.s3.buckets import shown

#: Files of an artifact, and bytes of them together: as of an artifact in a registry.
MAX_FILES = 20_000
MAX_BYTES = 48 * 1024 * 1024
_LEAVE_OUT = "rename or remove it, or leave it out by spec.ignore or the bucket's .sourceignore"


def chosen(items: Iterable[Item], sourceignore: bytes | None, ignore: str | None, where: str) -> list[Item]:
    """The objects of the artifact, sorted by key. As with Flux, only the .sourceignore at the bucket's root counts, and
    without any patterns nothing is left out. ``where`` is the bucket, for messages.

    Raises: ArtifactError for patterns that cannot be read, for keys that name no file below a directory, and for too
    much.
    """
    files = {} if sourceignore is None else {IGNORE_FILE: sourceignore}
    rules = IgnoreRules(files, defaults=(), overruling=ignore)
    for error in rules.errors:
        raise ArtifactError(
            f"{where}: {error.origin}: {error.message}", url=where, hint="correct it: what it leaves out is not known"
        )
    found = [it for it in items if not it.key.endswith("/") and it.key != IGNORE_FILE and not rules.ignored(it.key)]
    found.sort(key=lambda it: it.key)
    _check_size(found, where)
    _check_keys(found, where)
    return found


def _check_size(items: Sequence[Item], where: str) -> None:
    if len(items) > MAX_FILES:
        raise ArtifactError(
            f"{where}: it has {len(items):,} objects, and no more than {MAX_FILES:,} can be an artifact",
            url=where,
            hint="choose fewer by spec.prefix or spec.ignore",
        )
    size = sum(item.size for item in items)
    if size > MAX_BYTES:
        largest = max(items, key=lambda it: it.size)
        raise ArtifactError(
            f"{where}: its objects are {size / 2**20:,.0f} MiB together, and no more than {MAX_BYTES >> 20} MiB can be "
            f"an artifact; the largest is {shown(largest.key)} with {largest.size / 2**20:,.1f} MiB",
            url=where,
            hint="choose fewer by spec.prefix or spec.ignore",
        )


def _check_keys(items: Sequence[Item], where: str) -> None:
    keys = {item.key for item in items}
    for item in items:
        parts = item.key.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in item.key or "\\" in item.key:
            raise ArtifactError(
                f"{where}: the key {shown(item.key)} is no path of a file below a directory", url=where, hint=_LEAVE_OUT
            )
        for count in range(1, len(parts)):
            if (above := "/".join(parts[:count])) in keys:
                raise ArtifactError(
                    f"{where}: {shown(above)} is an object, and a directory by {shown(item.key)}",
                    url=where,
                    hint=_LEAVE_OUT,
                )
