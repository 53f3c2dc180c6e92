"""commonMetadata on what real charts render, hooks included."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.parts.rendering import CommonMetadata
from gitsync.charts import (
    Chart,
    Rendered,
    install_order,
    parse_objects,
    parts,
    reassembled,
)
from gitsync.charts.serve import files_below
from gitsync.charts.source import archive_from_files
from gitsync.kustomize import Kustomizer
from gitsync.release.desired import desired_release
from gitsync.release.postrender.postrender import PostRendering, post_rendered
from gitsync.sources.charts.chart import ChartArtifact
from tests.charts.cases import CASES
from tests.charts.inprocess import rendered_here

WANTED = CommonMetadata.model_validate(
    {
        "labels": {"team": "storage", "app.kubernetes.io/name": "ours"},
        "annotations": {"owner": "yes", "note": "two\nlines"},
    }
)


def rendered(case: str) -> Rendered:
    folder, values = CASES[case]
    return rendered_here(archive_from_files(files_below(folder)), values)


@pytest.mark.parametrize("case", CASES)
async def test_nothing_but_the_metadata_changes(case: str) -> None:
    before = rendered(case)
    after = await post_rendered(before, PostRendering((), WANTED, "combined"), Kustomizer())
    assert [without(item) for item in after.objects] == [without(item) for item in install_order(before.objects)]
    assert [without(hook.object) for hook in after.hooks] == [without(hook.object) for hook in before.hooks]
    for item in [*after.objects, *(hook.object for hook in after.hooks)]:
        metadata = item["metadata"]
        assert WANTED.labels.items() <= metadata["labels"].items()
        assert WANTED.annotations.items() <= metadata["annotations"].items()
    assert parse_objects(after.manifest) == after.objects
    assert (after.crds, after.notes, after.chart_record) == (before.crds, before.notes, before.chart_record)


def without(item: dict[str, Any]) -> dict[str, Any]:
    """An object less what WANTED may have set."""
    metadata = dict(item["metadata"])
    for field, names in (("labels", WANTED.labels), ("annotations", WANTED.annotations)):
        left = {name: text for name, text in (metadata.pop(field, None) or {}).items() if name not in names}
        if left:
            metadata[field] = left
    return {**item, "metadata": metadata}


@pytest.mark.parametrize("case", CASES)
def test_hooks_and_order_outlive_a_rework_that_changes_nothing(case: str) -> None:
    before = rendered(case)
    objects, hooks = parts(before)
    after = reassembled(before, [*objects, *hooks])
    # A List gives way to its items, each with the place of its own kind.
    assert list(after.objects) == install_order(before.objects)
    shown = [{name: text for name, text in hook.record().items() if name != "manifest"} for hook in after.hooks]
    assert shown == [
        {name: text for name, text in hook.record().items() if name != "manifest"} for hook in before.hooks
    ]


def digest(**spec: Any) -> str:
    release = HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "default"},
            "spec": {
                "interval": "5m",
                "chart": {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
                **spec,
            },
        }
    )
    return desired_release(release, ChartArtifact("app", "1.0.0", "sha256:chart", _unloaded), {"a": 1}).digests.values


async def _unloaded() -> Chart:
    raise AssertionError("a digest needs no chart")


def test_a_change_of_common_metadata_is_another_content_and_none_leaves_the_digest_as_it_was() -> None:
    plain = digest()
    first = digest(commonMetadata={"labels": {"team": "a"}})
    assert len({plain, first, digest(commonMetadata={"labels": {"team": "b"}})}) == 3
    assert digest(commonMetadata={"annotations": {}, "labels": {"team": "a"}}) == first
    assert digest(interval="1h") == plain
