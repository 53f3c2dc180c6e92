"""Which objects of a bucket are wanted, and the artifact that was found. Plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from gitsync.s3 import Item, Place


@dataclass(frozen=True, slots=True)
class BucketSpec:
    """The objects of a bucket whose keys begin with ``prefix``, without what the bucket's .sourceignore and ``ignore``
    leave out."""

    place: Place
    prefix: str = ""
    ignore: str | None = None

    @property
    def id(self) -> str:
        """Names it in caches."""
        ignore = "" if self.ignore is None else f"={self.ignore}"
        return hashlib.sha256("\0".join((self.place.id, self.prefix, ignore)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class BucketFile:
    """An object that was fetched; ``sha256`` (hex) is that of its content."""

    key: str
    etag: str
    size: int
    sha256: str

    @property
    def item(self) -> Item:
        """As it was listed."""
        return Item(self.key, self.etag, self.size)


@dataclass(frozen=True, slots=True)
class BucketArtifact:
    """Objects that were fetched, by their keys. ``revision`` is Flux's: ``sha256:`` and a digest over keys and ETags;
    ``digest`` is one over keys and contents."""

    revision: str
    files: tuple[BucketFile, ...]

    @property
    def digest(self) -> str:
        lines = (f"{file.key}\0{file.sha256}\0" for file in self.files)
        return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.size for file in self.files)

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def read(cls, data: Any) -> BucketArtifact | None:
        """From ``data``; None for what is none."""
        try:
            files = (
                BucketFile(str(it["key"]), str(it["etag"]), int(it["size"]), str(it["sha256"])) for it in data["files"]
            )
            return cls(str(data["revision"]), tuple(files))
        except (TypeError, KeyError, ValueError):
            return None


def revision_of(items: Iterable[Item]) -> str:
    """Flux's (source-controller, internal/index, Digester): a line ``KEY ETAG`` each, sorted by the keys' bytes."""
    digest = hashlib.sha256()
    for item in sorted(items, key=lambda it: it.key.encode()):
        digest.update(f"{item.key} {item.etag}\n".encode())
    return f"sha256:{digest.hexdigest()}"
