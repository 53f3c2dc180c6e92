"""What a HelmRelease asks for, resolved: a chart that was found, and values that were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gitsync.api.helmrelease import HelmRelease, HelmReleaseSpec
from gitsync.api.rendering import CommonMetadata
from gitsync.charts import Chart
from gitsync.release.deploy import ReleaseRef
from gitsync.release.state import Digests


@dataclass(frozen=True, slots=True)
class Located:
    """A chart that is known to exist. ``digest`` identifies its content (``sha256:...`` of the archive, or the Git tree
    it stands in); ``load`` brings it here, from a cache when it can."""

    name: str
    version: str
    digest: str
    load: Callable[[], Awaitable[Chart]] = field(repr=False)


class ChartSource(Protocol):
    """Finds charts."""

    async def locate(self, release: HelmRelease) -> Located:
        """The chart that ``release`` asks for, as its source is now. Costs no API request and no download when the
        source has not changed.

        Raises: SourceNotReady, ChartError, ChartRepositoryUnavailable.
        """


@dataclass(frozen=True, slots=True)
class Target:
    """Everything that decides a release's content."""

    ref: ReleaseRef
    chart: Located
    values: dict[str, Any] = field(repr=False)
    digests: Digests
    #: Whether the values are held against the chart's schema.
    validate: bool = True
    #: Labels and annotations for everything rendered.
    common_metadata: CommonMetadata | None = None
    #: Whether an upgrade starts from the values of the last revision.
    preserve_values: bool = False
    #: What of the values is out of Secrets, to be kept out of messages.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)


def target_of(release: HelmRelease, chart: Located, values: dict[str, Any]) -> Target:
    """Put a target together."""
    spec = release.spec
    validate = not (spec.install.disable_schema_validation or spec.upgrade.disable_schema_validation)
    digests = Digests(chart.digest, values_digest(values, _reworking(spec)))
    return Target(ref_of(release), chart, values, digests, validate, spec.common_metadata, spec.upgrade.preserve_values)


def ref_of(release: HelmRelease) -> ReleaseRef:
    """Helm's name of a HelmRelease's release."""
    return ReleaseRef(release.release_name, release.release_namespace, release.storage_namespace)


def _reworking(spec: HelmReleaseSpec) -> dict[str, Any]:
    """What of a spec, besides chart and values, decides how the rendered objects look."""
    metadata = spec.common_metadata
    return {"commonMetadata": metadata.model_dump()} if metadata else {}


def values_digest(values: dict[str, Any], reworking: Mapping[str, Any] | None = None) -> str:
    """``sha256:...`` over the canonical JSON of the values, and of what else shapes the rendered objects."""
    content = {"values": values, **reworking} if reworking else values
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
