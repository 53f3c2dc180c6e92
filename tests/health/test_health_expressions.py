"""What the answers to healthCheckExprs say about an object: the order is Flux's, and no answer means not yet."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import Manifest
from gitsync.health import before_asking, by_answers, helm_waits_for


def widget(generation: int = 2, kind: str = "Widget", **rest: Any) -> Manifest:
    version = "v1" if kind == "Secret" else "charts.example/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "generation": generation}, **rest}


@pytest.mark.parametrize(
    ("answers", "status", "message"),
    [
        ({"current": True}, "ready", ""),
        ({"current": False}, "progressing", "healthCheckExprs current is false"),
        ({"inProgress": True, "failed": True, "current": True}, "progressing", "healthCheckExprs inProgress is true"),
        ({"inProgress": False, "failed": True, "current": True}, "failed", "healthCheckExprs failed is true"),
        ({"failed": False, "current": True}, "ready", ""),
        ({"current": "no such key: phase"}, "progressing", "healthCheckExprs current: no such key: phase"),
        (
            {"inProgress": "no such key", "current": True},
            "progressing",
            "healthCheckExprs inProgress: no such key",
        ),
    ],
)
def test_the_first_expression_that_is_true_decides(answers: dict[str, bool | str], status: str, message: str) -> None:
    health = by_answers(widget(), answers)
    assert (health.status, health.message) == (status, message)


def test_why_a_secret_gave_no_answer_is_not_told() -> None:
    health = by_answers(widget(kind="Secret"), {"current": "cannot parse 'hunter2' as a number"})
    assert health.status == "progressing"
    assert health.message == "healthCheckExprs current: cannot be evaluated"


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (widget(), ""),
        (widget(status={"observedGeneration": 2}), ""),
        (widget(status={"observedGeneration": 1}), "generation 2 has not been seen by its controller yet"),
        (widget(status={"observedGeneration": "one"}), "generation 2 has not been seen by its controller yet"),
        ({**widget(), "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, "is being deleted"),
    ],
)
def test_some_objects_are_not_asked_about(manifest: Manifest, expected: str) -> None:
    health = before_asking(manifest)
    assert (health.message if health else "") == expected


@pytest.mark.parametrize(
    ("group", "kind", "expected"),
    [
        ("apps", "Deployment", True),
        ("batch", "Job", True),
        ("", "Service", True),
        ("apiextensions.k8s.io", "CustomResourceDefinition", True),
        ("charts.example", "Widget", False),
        ("autoscaling", "HorizontalPodAutoscaler", False),
        ("", "ConfigMap", False),
    ],
)
def test_the_legacy_strategy_waits_for_what_helm_3_knows(group: str, kind: str, expected: bool) -> None:
    assert helm_waits_for(group, kind) is expected
