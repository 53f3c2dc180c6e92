"""Who is ready, waits and has failed, counted as it changes."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import ObjectKey
from gitsync.sync.reporting.tally import Standing, Tally, standing_of_kustomization, standing_of_release


def key(name: str) -> ObjectKey:
    return ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", name)


def manifest(
    status: str = "", reason: str = "", *, stalled: bool = False, seen: int = 2, **spec: Any
) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": status, "reason": reason}] if status else []
    conditions += [{"type": "Stalled", "status": "True"}] if stalled else []
    return {
        "metadata": {"name": "a", "generation": 2},
        "spec": spec,
        "status": {"conditions": conditions, "observedGeneration": seen},
    }


def test_counts_follow_each_change() -> None:
    tally = Tally()
    assert str(tally) == "0 ready, 0 waiting, 0 failed"
    tally.set(key("redis"), "waiting")
    tally.set(key("backend"), "waiting")
    tally.set(key("redis"), "ready")
    tally.set(key("redis"), "ready")
    tally.set(key("other"), "failed")
    assert str(tally) == "1 ready, 1 waiting, 1 failed"
    tally.set(key("other"), None)
    tally.set(key("unknown"), None)
    assert str(tally) == "1 ready, 1 waiting, 0 failed"


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        (None, None),
        (manifest("True", suspend=True), None),
        (manifest(), "waiting"),
        (manifest("True"), "ready"),
        (manifest("True", seen=1), "waiting"),
        (manifest("False", "InstallFailed"), "waiting"),
        (manifest("False", "InstallFailed", stalled=True), "failed"),
        (manifest("False", "InstallFailed", stalled=True, seen=1), "waiting"),
    ],
)
def test_a_release_has_failed_when_it_is_given_up(found: dict[str, Any] | None, standing: Standing | None) -> None:
    assert standing_of_release(found, at_work=False) == standing


def test_a_release_that_is_worked_on_has_not_failed() -> None:
    assert standing_of_release(manifest("False", stalled=True), at_work=True) == "waiting"


@pytest.mark.parametrize(
    ("found", "standing"),
    [
        (None, None),
        (manifest("True", suspend=True), None),
        (manifest(), "waiting"),
        (manifest("True"), "ready"),
        (manifest("True", seen=1), "waiting"),
        (manifest("Unknown", "Progressing"), "waiting"),
        (manifest("False", "DependencyNotReady"), "waiting"),
        (manifest("False", "ArtifactFailed"), "waiting"),
        (manifest("False", "BuildFailed"), "failed"),
        (manifest("False", "BuildFailed", seen=1), "waiting"),
    ],
)
def test_a_kustomization_that_waits_for_others_has_not_failed(
    found: dict[str, Any] | None, standing: Standing | None
) -> None:
    assert standing_of_kustomization(found) == standing
