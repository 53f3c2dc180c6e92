"""A bound on the memory of large objects of gitsync's own kinds: any tenant may write them, and all are kept in
memory."""

from __future__ import annotations

from collections import Counter
from typing import Final

import structlog

from gitsync.api.identity import Manifest
from gitsync.weight import object_weight

log = structlog.get_logger(__name__)

#: Bytes of memory from which on an object is large, and what those of one namespace may come to together.
LARGE: Final = 256 << 10
TOGETHER: Final = 64 << 20


class Crowd:
    """The large objects of one watch. Once those of a namespace are too much, further ones are kept without their
    ``spec``: they count as invalid, and the others are served. One that is being deleted is kept as it is, since
    finalizing it needs the spec."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sizes: dict[tuple[str, str], int] = {}
        self._together: Counter[str] = Counter()
        self._told: set[str] = set()

    def taken(self, manifest: Manifest) -> Manifest:
        """What is kept of an object: itself, or a copy without its spec."""
        self.left(manifest)
        size = object_weight(manifest)
        if size <= LARGE:
            return manifest
        namespace, name = _place(manifest)
        if self._together[namespace] + size > TOGETHER and "deletionTimestamp" not in manifest["metadata"]:
            self._tell(namespace)
            manifest = {**manifest, "spec": None}
            size = object_weight(manifest)
        self._sizes[namespace, name] = size
        self._together[namespace] += size
        return manifest

    def left(self, manifest: Manifest) -> None:
        """An object is gone, or is about to be replaced by a newer state: it no longer counts."""
        place = _place(manifest)
        self._together[place[0]] -= self._sizes.pop(place, 0)
        if not self._together[place[0]]:
            del self._together[place[0]]
            self._told.discard(place[0])

    def clear(self) -> None:
        """Forget all objects: they are listed anew."""
        self._sizes.clear()
        self._together.clear()

    def _tell(self, namespace: str) -> None:
        if namespace not in self._told:
            self._told.add(namespace)
            log.warning(
                "large objects are too many",
                kind=self._kind,
                namespace=namespace,
                most=f"{TOGETHER >> 20} MiB of memory",
                hint="make them smaller or fewer: what is beyond that counts as invalid",
            )


def _place(manifest: Manifest) -> tuple[str, str]:
    metadata = manifest["metadata"]
    return metadata.get("namespace") or "", metadata["name"]
