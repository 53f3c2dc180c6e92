"""Which releases wait in vain, and when that can be said."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, cast

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import KIND_NOT_SERVED
from gitsync.cluster import Cluster
from gitsync.errors import KindUnknown
from gitsync.release.dependencies.index import ReleaseIndex
from gitsync.sync.rollout import lacking
from gitsync.sync.rollout.lacking import Lacking

DOLL = KindUnknown(
    "the API server serves no kind Doll in toys.example", group="toys.example", kind="Doll", version="v1"
)
_versions = itertools.count(1)
KEY = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "a")


def release(status: str, reason: str) -> Manifest:
    source = {"kind": "HelmRepository", "name": "charts"}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {
            "name": "a",
            "namespace": "default",
            "uid": "1",
            "generation": 1,
            "resourceVersion": str(next(_versions)),
        },
        "spec": {"interval": "1h", "chart": {"spec": {"chart": "app", "sourceRef": source}}},
        "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": status, "reason": reason}]},
    }


class WithoutDolls:
    """A cluster that never serves the kind; ``meanwhile`` happens when it is first asked for it."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile: Callable[[], None] | None = meanwhile

    async def resource(self, *_: str) -> Any:
        if self._meanwhile is not None:
            self._meanwhile()
            self._meanwhile = None
        raise DOLL


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> ReleaseIndex:
    monkeypatch.setattr(lacking, "JUST_BROUGHT", 0.2)
    index = ReleaseIndex()
    index.update(KEY, release("False", KIND_NOT_SERVED))
    index.set_unserved(KEY, DOLL)
    return index


async def test_a_release_whose_kind_does_not_come_waits_in_vain(index: ReleaseIndex) -> None:
    found = Lacking(cast(Cluster, WithoutDolls(lambda: None)))
    assert await found.hopeless(index, [KEY])
    assert found.waiting == {KEY: DOLL.message}


async def test_one_that_is_tried_again_while_its_kind_is_waited_for_is_at_work(index: ReleaseIndex) -> None:
    found = Lacking(cast(Cluster, WithoutDolls(lambda: index.update(KEY, release("Unknown", "Progressing")))))
    assert not await found.hopeless(index, [KEY])
    assert not found.waiting

    index.update(KEY, release("False", KIND_NOT_SERVED))
    assert await found.hopeless(index, [KEY])
