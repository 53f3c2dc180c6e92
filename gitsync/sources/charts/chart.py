"""A chart: as a HelmRelease or HelmChart asks for it, and as a source has it."""

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
    """The chart that a HelmRelease's ``spec.chart`` or a HelmChart (``by``) asks for, of this ``source``. ``release``
    is the HelmRelease, None for a HelmChart."""

    by: ObjectKey
    source: ObjectKey
    choice: ChartChoice
    release: HelmRelease | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, asking: HelmRelease | HelmChart) -> WantedChart | None:
        """The chart that an object asks for; None for a HelmRelease with ``chartRef``."""
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
        """Whether each revision of its source counts as another chart (``reconcileStrategy: Revision``)."""
        return self.choice.reconcile_strategy == "Revision"


@dataclass(frozen=True, slots=True)
class ChartArtifact:
    """A chart that is known to exist. ``digest`` identifies its content (``sha256:...`` of the archive, or the Git tree
    of its folder); ``load`` loads it, from a cache if possible. ``values_files`` are the files of its default values,
    () for its own values.yaml."""

    name: str
    version: str
    digest: str
    load: Callable[[], Awaitable[Chart]] = field(repr=False, compare=False)
    values_files: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The digest as 64 hex digits, whichever form it has."""
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
