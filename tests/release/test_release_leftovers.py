"""Leftovers of a release: how they are noted, and whose an object was that was taken over. Pure."""

from __future__ import annotations

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import LEFTOVERS_ANNOTATION
from gitsync.apply.ownership import former_owner, owned, taken_over, taken_over_in
from gitsync.release.action.takeover import Predecessors
from gitsync.release.delta import delta
from gitsync.release.leftovers import Leftover, leftovers_of, noted
from gitsync.release.revision import ReleaseRef

OBJECT: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "apps"}}
KEY = ObjectKey.of(OBJECT)


def helm_release(note: str | None) -> Manifest:
    return {"metadata": {"annotations": {} if note is None else {LEFTOVERS_ANNOTATION: note}}}


def test_what_is_noted_is_read_again() -> None:
    role = ObjectKey("rbac.authorization.k8s.io", "ClusterRole", "", "system:x")
    items = [Leftover(KEY, "apps/old"), Leftover(role, "apps/redis")]
    assert leftovers_of(helm_release(noted(items))) == items
    assert noted([]) is None
    assert leftovers_of(helm_release(None)) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"apps/a": 1}', '{"apps/a": [1]}', '{"apps/a": ["x"]}'])
def test_what_somebody_else_wrote_there_is_nothing(text: str) -> None:
    assert leftovers_of(helm_release(text)) == []


def test_the_release_that_an_object_was_the_own_of_is_known_through_every_take_over() -> None:
    own = owned(OBJECT, "old", "apps")
    first = Predecessors(ReleaseRef("new", "apps", "apps"), 1, {}, 0, resumed=False).noted(
        owned(OBJECT, "new", "apps"), own
    )
    assert (former_owner(first), taken_over_in(first, "new", "apps")) == ("apps/old", 1)
    second = Predecessors(ReleaseRef("newer", "apps", "apps"), 2, {}, 1, resumed=False).noted(
        owned(OBJECT, "newer", "apps"), first
    )
    assert (former_owner(second), taken_over_in(second, "newer", "apps")) == ("apps/old", 2)


def test_what_was_made_by_hand_is_no_release_s_own_whoever_takes_it_over() -> None:
    taken = taken_over(owned(OBJECT, "redis", "apps"), "redis", "apps", 2, former_owner(OBJECT))
    assert former_owner(taken) == ""
    again = taken_over(owned(OBJECT, "other", "apps"), "other", "apps", 1, former_owner(taken))
    assert former_owner(again) == ""


def test_what_becomes_a_hook_is_not_removed() -> None:
    change = delta([OBJECT], [], hooks=[KEY])
    assert (change.removed, change.hooks) == ((), (KEY,))
