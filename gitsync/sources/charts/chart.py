"""A chart: as somebody asks for it, and as a source has it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.parts.chart import ChartChoice
from gitsync.api.sources import HelmChart
from gitsync.charts import Chart

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class WantedChart:
    """What a HelmRelease's ``spec.chart`` or a HelmChart asks for: ``by`` whom, of which ``source``. ``release`` is the
    HelmRelease, None for a HelmChart."""

    by: ObjectKey
    source: ObjectKey
    choice: ChartChoice
    release: HelmRelease | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, asking: HelmRelease | HelmChart) -> WantedChart | None:
        """None for a HelmRelease that names an object which stands for its chart."""
        if isinstance(asking, HelmChart):
            return cls(asking.key, asking.source, asking.spec.choice)
        if asking.spec.chart is None:
            return None
        return cls(asking.key, asking.source, asking.spec.chart.spec.choice, asking)

    @property
    def owner(self) -> str:
        """The namespace on whose behalf it is read."""
        return self.by.namespace

    @property
    def by_revision(self) -> bool:
        """Whether each revision of its source makes it another chart."""
        return self.choice.reconcile_strategy == "Revision"


@dataclass(frozen=True, slots=True)
class ChartArtifact:
    """A chart that is known to exist. ``digest`` identifies its content (``sha256:...`` of the archive, or the Git tree
    it stands in); ``load`` brings it here, from a cache when it can. ``values_files`` are those that its default values
    are out of, () for its own values.yaml."""

    name: str
    version: str
    digest: str
    load: Callable[[], Awaitable[Chart]] = field(repr=False, compare=False)
    values_files: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The same as 64 hex digits, whatever it is known by."""
        if _SHA256.fullmatch(self.digest):
            return self.digest.removeprefix("sha256:")
        return hashlib.sha256(self.digest.encode()).hexdigest()


class ChartSource(Protocol):
    """Finds charts."""

    async def locate(self, release: HelmRelease) -> ChartArtifact:
        """The chart that ``release`` asks for, as its source is now. Costs no API request and no download when the
        source has not changed.

        Raises: SourceNotReady, ChartError, ChartRepositoryUnavailable.
        """
