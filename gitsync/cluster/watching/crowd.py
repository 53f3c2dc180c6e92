"""Objects of gitsync's own kinds are anybody's, and all are in memory: what the large ones come to is bounded."""

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
    """The large objects of one watch. One too many is taken without its ``spec``, so that it is invalid, and the others
    are served. What is being deleted is taken as it is: whoever ends it has to know what it was."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._sizes: dict[tuple[str, str], int] = {}
        self._together: Counter[str] = Counter()
        self._told: set[str] = set()

    def taken(self, manifest: Manifest) -> Manifest:
        """What is kept of an object. Not changed: where ``spec`` is left out, that is another one."""
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
        """An object is gone, or there is another one in its place."""
        place = _place(manifest)
        self._together[place[0]] -= self._sizes.pop(place, 0)
        if not self._together[place[0]]:
            del self._together[place[0]]
            self._told.discard(place[0])

    def clear(self) -> None:
        """All are listed anew."""
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
