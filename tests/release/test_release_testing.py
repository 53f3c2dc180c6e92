"""When a release has to be tested, and which of the chart's tests that means."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.parts.actions import HelmTestFilter
from gitsync.release.reconcile.chart_tests import selected
from gitsync.release.reconcile.facts import Facts, policy_of_tests
from gitsync.release.reconcile.state import State, state_of
from gitsync.release.revision import CountedAction
from gitsync.release.storage.record import CHART_DIGEST, TESTS, VALUES_DIGEST, Digests, Status, Summary


def release(**spec: Any) -> HelmRelease:
    """A HelmRelease."""
    source = {"kind": "HelmRepository", "name": "charts"}
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "redis", "namespace": "default"},
            "spec": {"interval": "5m", "chart": {"spec": {"chart": "redis", "sourceRef": source}}, **spec},
        }
    )


def state(spec: dict[str, Any], phase: str, action: CountedAction = "install", status: Status = "deployed") -> State:
    """The state of a release whose newest revision, brought about by ``action``, has this result of its tests."""
    annotations = {CHART_DIGEST: "c", VALUES_DIGEST: "v"} | ({TESTS: phase} if phase else {})
    newest = Summary("redis", "default", 1, status, "", annotations)
    return state_of(Facts(newest=newest, wanted=Digests("c", "v"), tests=policy_of_tests(release(**spec), action)))


ON = {"test": {"enable": True}}
IGNORED = {"test": {"enable": True, "ignoreFailures": True}}
IGNORED_INSTALL = {**ON, "install": {"remediation": {"ignoreTestFailures": True}}}


@pytest.mark.parametrize(
    ("spec", "phase", "expected"),
    [
        ({}, "", State.IN_SYNC),
        ({}, "Failed", State.IN_SYNC),
        (ON, "", State.UNTESTED),
        (ON, "Succeeded", State.IN_SYNC),
        (ON, "Failed", State.FAILED),
        (IGNORED, "", State.UNTESTED),
        (IGNORED, "Failed", State.IN_SYNC),
        (IGNORED_INSTALL, "Failed", State.IN_SYNC),
    ],
)
def test_a_deployed_release_has_the_state_that_its_tests_give_it(
    spec: dict[str, Any], phase: str, expected: State
) -> None:
    assert state(spec, phase) is expected


def test_each_action_has_its_own_say_about_failed_tests() -> None:
    assert state(IGNORED_INSTALL, "Failed", "upgrade") is State.FAILED


def test_nothing_but_a_deployed_release_is_tested() -> None:
    assert state(ON, "", status="failed") is State.FAILED
    assert state(ON, "", status="uninstalled") is State.ABSENT


def hook(name: str, event: str = "test") -> dict[str, Any]:
    """A hook of a record."""
    return {"name": name, "events": [event]}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["a", "b", "c"]),
        ([("a", False), ("c", False)], ["a", "c"]),
        ([("a", True)], ["b", "c"]),
        ([("a", False), ("b", False), ("b", True)], ["a"]),
    ],
)
def test_filters_choose_tests_by_name(filters: list[tuple[str, bool]], expected: list[str]) -> None:
    hooks = [hook("a"), hook("other", "pre-install"), hook("b"), hook("c")]
    rules = [HelmTestFilter(name=name, exclude=exclude) for name, exclude in filters]

    assert [item["name"] for item in selected(hooks, rules)] == expected
