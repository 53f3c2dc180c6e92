"""A chart that a source has, as those who use it see it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from gitsync.api.helmrelease import HelmRelease
from gitsync.charts import Chart


@dataclass(frozen=True, slots=True)
class ChartArtifact:
    """A chart that is known to exist. ``digest`` identifies its content (``sha256:...`` of the archive, or the Git tree
    it stands in); ``load`` brings it here, from a cache when it can."""

    name: str
    version: str
    digest: str
    load: Callable[[], Awaitable[Chart]] = field(repr=False)


class ChartSource(Protocol):
    """Finds charts."""

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """The chart that ``release`` asks for, as its source is now. Costs no API request and no download when the
        source has not changed.

        Raises: SourceNotReady, ChartError, ChartRepositoryUnavailable.
        """
