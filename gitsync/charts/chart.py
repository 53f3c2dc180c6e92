"""A chart as gitsync's own process knows it: its archive, unopened, and what a worker process said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gitsync.helm.uses import Uses
from gitsync.spool import Body

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


@dataclass(frozen=True, slots=True)
class Packed:
    """A chart's content: an archive (.tgz), and what stands in it in place of values.yaml, None for its own. ``build``
    is the build metadata of its version in place of the chart's own, "" for its own."""

    archive: Body = field(repr=False)
    values: bytes | None = field(default=None, repr=False)
    build: str = ""
    #: What workers know it by: a digest of both, taken here and not believed from anybody.
    id: str = field(default="", kw_only=True)

    @classmethod
    def of(cls, archive: Body, values: bytes | None = None, build: str = "") -> Packed:
        """Hashes the values: blocks for some milliseconds when they are many."""
        digest = archive.sha256
        if values is not None:
            digest = hashlib.sha256(bytes.fromhex(digest) + values).hexdigest()
        return cls(archive, values, build, id=digest + (f"+{build}" if build else ""))

    @property
    def pieces(self) -> list[bytes | Body]:
        return [self.archive] if self.values is None else [self.archive, self.values]

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))


@dataclass(frozen=True, slots=True)
class Static:
    """What is the same in all renderings of a chart: the ``chart`` member of Helm's record before values were applied,
    and the objects of ``crds/``, where values do not decide about them."""

    record: dict[str, Any] = field(repr=False)
    crds: tuple[Manifest, ...] = field(repr=False)


@dataclass(eq=False, slots=True)
class Chart:
    """A chart as it was fetched or found in Git. Shared: never change it.

    ``digest`` is what it is known by; ``uses`` what its templates make use of; ``has_dependencies`` whether values
    decide what Helm's record says about it, and which CRDs it has.
    """

    packed: Packed = field(repr=False)
    digest: str
    name: str
    version: str
    app_version: str
    metadata: dict[str, Any] = field(repr=False)
    values: dict[str, Any] = field(repr=False)
    uses: Uses = field(repr=False)
    has_dependencies: bool = field(repr=False)
    #: Comes with the first rendering.
    static: Static | None = field(default=None, repr=False)

    @classmethod
    def of(cls, packed: Packed, digest: str, said: dict[str, Any]) -> Chart:
        """From a worker's description."""
        return cls(packed, digest, **{**said, "uses": Uses(*said["uses"])})


def asked(packed: Packed, given: bool, **more: Any) -> tuple[dict[str, Any], Sequence[bytes | Body]]:
    """A question about a chart for a worker, with the chart itself when it is ``given``."""
    pieces = packed.pieces if given else []
    return {"chart": packed.id, "given": len(pieces), "build": packed.build, **more}, pieces
