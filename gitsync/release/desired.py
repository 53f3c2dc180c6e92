"""What a HelmRelease asks for, resolved: a chart that was found, and values that were read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gitsync.api.helmrelease import HelmRelease, HelmReleaseSpec
from gitsync.release.postrender.postrender import PostRendering
from gitsync.release.revision import ReleaseRef
from gitsync.release.status.observed import Attempt
from gitsync.release.storage.canonical import digest
from gitsync.release.storage.record import Digests
from gitsync.sources.charts.chart import ChartArtifact


@dataclass(frozen=True, slots=True)
class DesiredRelease:
    """Everything that decides a release's content. ``generation`` is the HelmRelease's."""

    ref: ReleaseRef
    chart: ChartArtifact
    values: dict[str, Any] = field(repr=False)
    digests: Digests
    generation: int = 0
    #: For whom all work is done: the HelmRelease's own namespace.
    owner: str = ""
    #: Whether the values are validated by the chart's schema.
    validate: bool = True
    #: What is done to everything rendered.
    post_rendering: PostRendering | None = None
    #: Whether an upgrade starts from the values of the last revision.
    preserve_values: bool = False
    #: The values that come from Secrets, to be kept out of messages.
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def attempt(self) -> Attempt:
        """An install or upgrade to this, as failures are counted."""
        return Attempt(self.generation, self.chart.version, self.digests)


def desired_release(
    release: HelmRelease, chart: ChartArtifact, values: dict[str, Any], secrets: frozenset[str] = frozenset()
) -> DesiredRelease:
    """The desired release of a HelmRelease with this chart and these values, of which ``secrets`` come from Secrets.
    Takes time that grows with the values: call it in a thread."""
    spec = release.spec
    return DesiredRelease(
        ref_of(release),
        chart,
        values,
        Digests(chart.digest, values_digest(values, _post_rendering(spec))),
        generation=release.metadata.generation,
        owner=release.metadata.namespace,
        validate=not (spec.install.disable_schema_validation or spec.upgrade.disable_schema_validation),
        post_rendering=PostRendering.of(spec),
        preserve_values=spec.upgrade.preserve_values,
        secrets=secrets,
    )


def ref_of(release: HelmRelease) -> ReleaseRef:
    """Helm's name of a HelmRelease's release."""
    return ReleaseRef(release.release_name, release.release_namespace, release.storage_namespace)


def _post_rendering(spec: HelmReleaseSpec) -> dict[str, Any]:
    """The parts of a spec that shape the rendered objects, besides chart and values."""
    found: dict[str, Any] = {}
    if spec.common_metadata:
        found["commonMetadata"] = spec.common_metadata.model_dump()
    if spec.post_renderers:
        found["postRenderers"] = [item.model_dump(exclude_defaults=True) for item in spec.post_renderers]
    if found and spec.post_render_strategy != "combined":
        found["postRenderStrategy"] = spec.post_render_strategy
    return found


def values_digest(values: dict[str, Any], post_rendering: Mapping[str, Any] | None = None) -> str:
    """``sha256:...`` over the canonical JSON of the values, and of what else shapes the rendered objects."""
    return digest({"values": values, **post_rendering} if post_rendering else values, ensure_ascii=False)


def replaced_release(
    release: HelmRelease, desired: DesiredRelease, last: ReleaseRef, last_chart: str
) -> ReleaseRef | None:
    """``last``, if that has to be uninstalled before ``desired`` is installed: ``release`` was last deployed as
    ``last``, from the chart ``last_chart``, and now has another name or namespace, or a chart that must not take over.
    Else None.
    """
    other_chart = last_chart not in ("", desired.chart.name)
    reinstall = release.spec.upgrade.chart_name_change_strategy == "Reinstall"
    return last if last != desired.ref or (other_chart and reinstall) else None


def changed_identity(old: ReleaseRef, new: ReleaseRef, old_chart: str, new_chart: str) -> str:
    """Why a release is another one than before, in words."""
    pairs = {
        "name": (old.name, new.name),
        "namespace": (old.namespace, new.namespace),
        "storage namespace": (old.storage, new.storage),
        "chart": (old_chart or new_chart, new_chart),
    }
    changed = (f"its {what} was {was} and is {now}" for what, (was, now) in pairs.items() if was != now)
    return ", ".join(changed)
