"""When a release has to be tested, and which of the chart's tests that means."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.actions import HelmTestFilter
from gitsync.api.helmrelease import HelmRelease
from gitsync.release.reconcile.state import NextAction, State, Tries, decide
from gitsync.release.reconcile.test import TESTS, judged, selected
from gitsync.release.storage.record import Summary


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


def summary(phase: str = "") -> Summary:
    """A deployed revision, and how its tests went."""
    return Summary("redis", "default", 1, "deployed", "", {TESTS: phase} if phase else {})


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
def test_a_deployed_release_is_judged_by_its_tests(spec: dict[str, Any], phase: str, expected: State) -> None:
    assert judged(State.IN_SYNC, summary(phase), release(**spec), "install") is expected


def test_each_action_has_its_own_say_about_failed_tests() -> None:
    assert judged(State.IN_SYNC, summary("Failed"), release(**IGNORED_INSTALL), "upgrade") is State.FAILED


@pytest.mark.parametrize("state", [state for state in State if state is not State.IN_SYNC])
def test_nothing_but_a_release_in_sync_is_tested(state: State) -> None:
    assert judged(state, summary(), release(**ON), "install") is state


def test_an_untested_release_is_tested_whatever_failed_before() -> None:
    assert decide(State.UNTESTED, Tries("upgrade", 9)) is NextAction.TEST


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
