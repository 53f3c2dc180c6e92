"""Fields of a HelmRelease that gitsync does not honour yet. Pure.

A field without which the result would be another release than the one asked for is refused: that is safer than to
install something else, or somewhere else. A field without which the result merely does less is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator

from gitsync.api.helmrelease import HelmRelease, HelmReleaseSpec
from gitsync.api.names import HELM_REPOSITORY
from gitsync.sources.unsupported import refused_of_verify


def refused(release: HelmRelease) -> tuple[str, ...]:
    """The fields that keep a release from being installed, as they are written."""
    return tuple(_refused(release.spec))


def _refused(spec: HelmReleaseSpec) -> Iterator[str]:
    if spec.chart is not None and spec.chart.spec.verify is not None:
        if spec.chart.spec.source_ref.kind != HELM_REPOSITORY:
            yield "spec.chart.spec.verify"  # in a Git repository, commits are signed, and not charts
        else:
            yield from (field for field, *_ in refused_of_verify("spec.chart.spec.verify", spec.chart.spec.verify))


def without_effect(release: HelmRelease) -> tuple[str, ...]:
    """The fields that are accepted and change nothing yet."""
    return tuple(_without_effect(release.spec))


def _without_effect(spec: HelmReleaseSpec) -> Iterator[str]:
    if spec.wait_strategy.name == "legacy" and spec.health_check_exprs:
        yield "spec.healthCheckExprs (with waitStrategy: legacy)"
