"""Every kind by its fixtures: live objects as the API server gives them, with what is to be said about each."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.identity import group_of
from gitsync.health import MESSAGE_LIMIT, assess, has_health, pods_of
from gitsync.health.registry import RULES
from tests.health.recorded import cases


@pytest.mark.parametrize("case", cases())
def test_fixture(case: dict[str, Any]) -> None:
    manifest, pods, expect = case["manifest"], case.get("pods", []), case["expect"]
    assert pods_of(manifest, pods) == pods, "the fixture's pods are found by selector and owner"
    health = assess(manifest, pods)
    assert (health.status, health.reason, health.message) == (
        expect["status"],
        expect.get("reason", ""),
        expect.get("message", ""),
    )
    assert len(health.message) <= MESSAGE_LIMIT


def test_every_kind_with_rules_has_fixtures_of_being_ready_and_of_not() -> None:
    seen: dict[tuple[str, str], set[bool]] = {}
    for param in cases():
        (case,) = param.values
        manifest = case["manifest"]
        kind = (group_of(manifest["apiVersion"]), manifest["kind"])
        seen.setdefault(kind, set()).add(case["expect"]["status"] == "ready")
    alike = {"Node", "ReplicationController", "ServiceCIDR", "ValidatingAdmissionPolicy"}  # share another's rule
    assert {kind for kind in RULES if seen.get(kind) != {True, False}} == {kind for kind in RULES if kind[1] in alike}


def test_ready_says_nothing_and_all_else_says_why() -> None:
    for param in cases():
        (case,) = param.values
        health = assess(case["manifest"], case.get("pods", []))
        assert (health.status == "ready") == (not health.reason and not health.message)


def test_kinds_of_kubernetes_that_are_never_unready_need_no_watch() -> None:
    for group, kind in [("", "ConfigMap"), ("", "Secret"), ("networking.k8s.io", "Ingress"), ("batch", "CronJob")]:
        assert not has_health(group, kind)
    assert has_health("apps", "Deployment")
    assert has_health("gateway.networking.k8s.io", "Gateway"), "a custom resource may say anything in its status"
