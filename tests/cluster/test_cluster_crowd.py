"""What large objects of gitsync's own kinds come to in memory, namespace by namespace."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.cluster import crowd
from gitsync.cluster.crowd import Crowd
from gitsync.weight import object_weight


def release(name: str, maps: int, namespace: str = "apps", **metadata: str) -> dict[str, Any]:
    spec = {"values": {"a": [{"a": 0} for _ in range(maps)]}}
    return {"kind": "HelmRelease", "metadata": {"name": name, "namespace": namespace, **metadata}, "spec": spec}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Crowd:
    """With room for two that have a thousand maps."""
    monkeypatch.setattr(crowd, "LARGE", object_weight(release("a", 100)))
    monkeypatch.setattr(crowd, "TOGETHER", object_weight(release("a", 2050)))
    return Crowd("HelmRelease")


def test_of_a_namespace_that_has_too_much_the_next_one_counts_as_invalid(
    small: Crowd, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = [small.taken(release(name, 1000)) for name in "abcd"]
    assert [it["spec"] is None for it in taken] == [False, False, True, True]
    assert small.taken(release("e", 1000, "others"))["spec"] is not None
    assert small.taken(release("f", 10))["spec"] is not None, "what is small does not count"
    assert capsys.readouterr().out.count("large objects are too many") == 1


def test_what_goes_or_becomes_smaller_makes_room(small: Crowd) -> None:
    for name in "ab":
        small.taken(release(name, 1000))
    small.left(release("a", 1000))
    assert small.taken(release("c", 1000))["spec"] is not None
    assert small.taken(release("d", 1000))["spec"] is None
    small.taken(release("b", 10))
    assert small.taken(release("d", 1000))["spec"] is not None
    small.clear()
    assert small.taken(release("x", 1000))["spec"] is not None


def test_what_changes_is_not_counted_twice(small: Crowd) -> None:
    for _ in range(5):
        assert small.taken(release("a", 1000))["spec"] is not None


def test_what_is_being_deleted_is_taken_as_it_is(small: Crowd) -> None:
    for name in "ab":
        small.taken(release(name, 1000))
    assert small.taken(release("c", 1000, deletionTimestamp="2026-01-01T00:00:00Z"))["spec"] is not None
