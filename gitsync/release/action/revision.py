"""What a revision holds: made from a rendering, or taken from a record to be deployed again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.charts import ReleaseContext, Rendered, parse_objects
from gitsync.release import flux
from gitsync.release.action.deploy import ReleaseRef, RevisionContent, objects_of
from gitsync.release.reconcile.state import Digests
from gitsync.release.storage.record import CHART_DIGEST, VALUES_DIGEST, Record, checksum

if TYPE_CHECKING:
    from gitsync.release.desired import DesiredRelease
    from gitsync.release.status.status import Verb


def context_of(ref: ReleaseRef, revision: int, verb: Verb) -> ReleaseContext:
    """What templates see of the release."""
    return ReleaseContext(
        name=ref.name,
        namespace=ref.namespace,
        revision=revision,
        is_install=verb == "install",
        is_upgrade=verb == "upgrade",
    )


def content_from(rendered: Rendered, target: DesiredRelease) -> RevisionContent:
    """What a target comes to when it is rendered."""
    return RevisionContent(
        chart=rendered.chart_record,
        config=target.values,
        manifest=rendered.manifest,
        objects=rendered.objects,
        digests=target.digests,
        hooks=[hook.record() for hook in rendered.hooks],
        notes=rendered.notes,
        crds=rendered.crds,
    )


def content_of(record: Record) -> RevisionContent:
    """What an old revision held. Its digests go with it, so that nobody has to compare to know what is deployed; one
    that Helm wrote has its own as a whole in their place, which is that of no chart.
    """
    own = checksum(record)
    return RevisionContent(
        chart=record.chart,
        config=record.config,
        manifest=record.manifest,
        objects=objects_of(record),
        digests=Digests(record.annotations.get(CHART_DIGEST) or own, record.annotations.get(VALUES_DIGEST) or own),
        hooks=record.hooks,
        notes=record.notes,
        of_revision=record.version,
        apply_method=record.apply_method,
    )


def holds(record: Record, rendered: Rendered, values: dict[str, Any]) -> bool:
    """Whether a revision is of this chart and these values, and holds what was rendered. Notes do not count: they
    change nothing.
    """
    return (
        _as_helm_reads(record.config) == _as_helm_reads(values)
        and record.chart.get("metadata") == rendered.chart_record["metadata"]
        and (_same_text(record, rendered) or _same_but_for_flux(record, rendered))
    )


def _same_text(record: Record, rendered: Rendered) -> bool:
    hooks = [hook.get("manifest") for hook in record.hooks]
    return record.manifest == rendered.manifest and hooks == [hook.manifest for hook in rendered.hooks]


def _same_but_for_flux(record: Record, rendered: Rendered) -> bool:
    """Whether Flux's labels are all that a revision of Flux has besides; its text was written anew with them."""
    objects = parse_objects(record.manifest)
    if not flux.marked(objects):
        return False
    hooks = [hook for item in record.hooks for hook in parse_objects(str(item.get("manifest", "")))]
    return _by_key(map(flux.unmarked, [*objects, *hooks])) == _by_key(
        [*rendered.objects, *(hook.object for hook in rendered.hooks)]
    )


def _by_key(objects: Iterable[Manifest]) -> dict[ObjectKey, Manifest]:
    return {ObjectKey.of(item): item for item in objects}


def _as_helm_reads(values: dict[str, Any]) -> Any:
    """Values with every number a float, as in Go: large integers come out of a record that Helm wrote rounded."""
    return json.loads(json.dumps(values), parse_int=float)
