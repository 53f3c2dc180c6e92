"""Which differences count as drift, and when correcting them has become a conflict."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.fields import Selector
from gitsync.api.parts.rendering import IgnoreRule
from gitsync.diff.ignore import labels_match, selects, tolerating
from gitsync.release.drift.conflicts import MOST, PAUSE, WINDOW, DriftConflicts
from gitsync.release.drift.optout import opted_out


def deployment(**spec: Any) -> dict[str, Any]:
    """A Deployment with labels."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web", "tier": "front"}},
        "spec": spec,
    }


def rule(*paths: str, **target: str) -> IgnoreRule:
    """An ignore rule; a target's fields by their names in YAML."""
    body: dict[str, Any] = {"paths": list(paths)}
    return IgnoreRule.model_validate({**body, "target": target} if target else body)


def test_an_ignored_field_is_taken_from_the_cluster() -> None:
    desired, live = deployment(replicas=1, paused=False), deployment(replicas=5, paused=True)

    assert tolerating(desired, live, [rule("/spec/replicas")])["spec"] == {"replicas": 5, "paused": False}
    assert desired["spec"]["replicas"] == 1, "the input stays as it is"
    assert tolerating(desired, deployment(paused=True), [rule("/spec/replicas")])["spec"] == {"paused": False}
    assert tolerating(desired, live, [rule("/spec")])["spec"] == live["spec"]
    assert tolerating(desired, live, [rule("")]) == live


def test_pointers_lead_through_lists_and_escapes() -> None:
    desired = {**deployment(containers=[{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}])}
    desired["metadata"]["annotations"] = {"example.com/rev~1": "1"}
    live = {**deployment(containers=[{"name": "a", "image": "a:2"}, {"name": "b", "image": "b:2"}])}
    live["metadata"]["annotations"] = {"example.com/rev~1": "2"}

    result = tolerating(
        desired, live, [rule("/spec/containers/1/image", "/metadata/annotations/example.com~1rev~01", "/spec/x/y/0")]
    )

    assert [item["image"] for item in result["spec"]["containers"]] == ["a:1", "b:2"]
    assert result["metadata"]["annotations"] == {"example.com/rev~1": "2"}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"kind": "Deployment"}, True),
        ({"kind": "Deploy"}, False),
        ({"kind": "Deploy.*|StatefulSet"}, True),
        ({"group": "apps", "version": "v1", "name": "w.b", "namespace": "shop"}, True),
        ({"namespace": "default"}, False),
        ({"name": "("}, False),
        ({"labelSelector": "app=web,tier!=back"}, True),
        ({"labelSelector": "app=web,tier=back"}, False),
        ({"annotationSelector": "app"}, False),
    ],
)
def test_a_rule_is_for_the_objects_that_it_names(target: dict[str, str], expected: bool) -> None:
    assert selects(Selector.model_validate(target), deployment()) is expected
    desired, live = deployment(replicas=1), deployment(replicas=5)
    assert (tolerating(desired, live, [rule("/spec/replicas", **target)]) != desired) is expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("app", True),
        ("!app", False),
        ("!other", True),
        ("app==web", True),
        ("app = web , tier in (front, back)", True),
        ("tier notin (front)", False),
        ("other notin (front)", True),
        ("other!=x", True),
        ("app=(", False),
    ],
)
def test_label_selectors_are_read_as_kubectl_reads_them(selector: str, expected: bool) -> None:
    assert labels_match(selector, {"app": "web", "tier": "front"}) is expected


def test_an_object_may_opt_out_by_label_or_annotation() -> None:
    mark = {"helm.toolkit.fluxcd.io/driftDetection": "disabled"}

    assert opted_out({"metadata": {"labels": mark}})
    assert opted_out({"metadata": {}}, {"metadata": {"annotations": mark}})
    assert not opted_out({"metadata": {"labels": {"helm.toolkit.fluxcd.io/driftDetection": "enabled"}}})


def test_a_field_that_is_changed_back_all_the_time_is_left_alone_for_a_while() -> None:
    now = 0.0
    fights: DriftConflicts[str] = DriftConflicts(lambda: now)
    for _ in range(MOST):
        now += 10
        assert fights.corrects("web", {"spec.replicas"})
    now += 10
    assert not fights.corrects("web", {"spec.replicas"})
    assert fights.is_first("web")
    assert fights.pause("web") == PAUSE

    now += PAUSE
    assert fights.pause("web") == 0
    for _ in range(MOST):
        assert fights.corrects("web", {"spec.replicas"})
    assert not fights.corrects("web", {"spec.replicas"})
    assert not fights.is_first("web"), "it was told before"
    assert fights.pause("web") == 2 * PAUSE


def test_corrections_now_and_then_or_of_several_fields_are_no_fight() -> None:
    now = 0.0
    fights: DriftConflicts[str] = DriftConflicts(lambda: now)
    for number in range(20):
        assert fights.corrects("web", {f"field {number}"})
        now += WINDOW / MOST + 1
        assert fights.corrects("web", {"spec.replicas"})
