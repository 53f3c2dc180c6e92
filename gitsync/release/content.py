"""What a revision holds: made from a rendering, or taken from a record to be deployed again. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gitsync.charts import ReleaseContext, Rendered
from gitsync.release.deploy import Content, ReleaseRef, objects_of
from gitsync.release.records import CHART_DIGEST, VALUES_DIGEST, Record
from gitsync.release.state import Digests

if TYPE_CHECKING:
    from gitsync.release.status import Verb
    from gitsync.release.target import Target


def context_of(ref: ReleaseRef, revision: int, verb: Verb) -> ReleaseContext:
    """What templates see of the release."""
    return ReleaseContext(
        name=ref.name,
        namespace=ref.namespace,
        revision=revision,
        is_install=verb == "install",
        is_upgrade=verb == "upgrade",
    )


def content_from(rendered: Rendered, target: Target) -> Content:
    """What a target comes to when it is rendered."""
    return Content(
        chart=rendered.chart_record,
        config=target.values,
        manifest=rendered.manifest,
        objects=rendered.objects,
        digests=target.digests,
        hooks=[hook.record() for hook in rendered.hooks],
        notes=rendered.notes,
        crds=rendered.crds,
    )


def content_of(record: Record) -> Content:
    """What an old revision held. Its digests go with it, so that nobody has to compare to know what is deployed."""
    return Content(
        chart=record.chart,
        config=record.config,
        manifest=record.manifest,
        objects=objects_of(record),
        digests=Digests(record.annotations.get(CHART_DIGEST, ""), record.annotations.get(VALUES_DIGEST, "")),
        hooks=record.hooks,
        notes=record.notes,
        of_revision=record.version,
    )


def holds(record: Record, rendered: Rendered, values: dict[str, Any]) -> bool:
    """Whether a revision is of this chart and these values, and holds what was rendered. Notes do not count: they
    change nothing.
    """
    return (
        _as_helm_reads(record.config) == _as_helm_reads(values)
        and record.chart.get("metadata") == rendered.chart_record["metadata"]
        and record.manifest == rendered.manifest
        and [hook.get("manifest") for hook in record.hooks] == [hook.manifest for hook in rendered.hooks]
    )


def _as_helm_reads(values: dict[str, Any]) -> Any:
    """Values with every number a float, as in Go: large integers come out of a record that Helm wrote rounded."""
    return json.loads(json.dumps(values), parse_int=float)
