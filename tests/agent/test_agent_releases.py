"""What of a HelmRelease's changes is a reason for a pass."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.release.controller import asks_for_more


def helm_release(status: str = "", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"generation": 1, **metadata}, "status": {"conditions": [{"message": status}]}}


@pytest.mark.parametrize("leaving", [{}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}])
def test_what_gitsync_writes_is_none(leaving: dict[str, str]) -> None:
    """Of a release that is being deleted neither: an uninstall that fails in other words each time, as a hook's pod has
    another name each time, would be tried without a pause."""
    assert not asks_for_more(helm_release("pod a failed", **leaving), helm_release("pod b failed", **leaving))


def test_a_change_of_the_spec_and_a_request_and_a_deletion_are() -> None:
    requested = {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}
    leaving = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    for change in ({"generation": 2}, requested, leaving):
        assert asks_for_more(helm_release(), helm_release(**change))
    assert asks_for_more(helm_release(**leaving), helm_release(**leaving, generation=2)), "it may be suspended now"
