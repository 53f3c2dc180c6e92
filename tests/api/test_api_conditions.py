from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gitsync.api import get_condition, is_ready, remove_condition, rfc3339, set_condition
from gitsync.api.conditions import find_condition, ready_of
from gitsync.api.status import Condition, ConditionStatus

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
T1 = T0 + timedelta(minutes=1)


def a_condition(kind: str) -> Condition:
    return Condition(type=kind, status="True", last_transition_time="2026-01-01T00:00:00Z", reason="Some", message="")


def ready(
    status: ConditionStatus, message: str, now: datetime, before: Sequence[Condition] = ()
) -> tuple[Condition, ...]:
    return set_condition(before, "Ready", status, "Some", message, 3, now)


def test_a_new_condition_is_appended() -> None:
    stalled = a_condition("Stalled")
    assert ready("True", "ok", T0, [stalled]) == (
        stalled,
        Condition(
            type="Ready",
            status="True",
            observed_generation=3,
            last_transition_time="2026-01-02T03:04:05Z",
            reason="Some",
            message="ok",
        ),
    )


def test_the_transition_time_stays_while_the_status_stays() -> None:
    (condition,) = ready("False", "still waiting", T1, ready("False", "waiting", T0))
    assert condition.message == "still waiting"
    assert condition.last_transition_time == rfc3339(T0)


def test_the_transition_time_changes_with_the_status() -> None:
    (condition,) = ready("True", "waiting", T1, ready("False", "waiting", T0))
    assert condition.last_transition_time == rfc3339(T1)


def test_saying_the_same_again_gives_an_equal_list() -> None:
    before = ready("True", "ok", T0)
    assert ready("True", "ok", T1, before) == before


def test_the_given_list_is_left_as_it_was() -> None:
    before = ready("False", "waiting", T0)
    ready("True", "ok", T1, before)
    assert before == ready("False", "waiting", T0)


def test_a_message_longer_than_the_api_takes_is_cut() -> None:
    (condition,) = ready("False", "x" * 40_000, T0)
    assert len(condition.message) == 32768
    assert condition.message.endswith("...")


def test_conditions_are_found_and_removed_by_type() -> None:
    conditions = ready("True", "ok", T0, [a_condition("Stalled"), a_condition("Released")])
    assert find_condition(conditions, "Stalled") == a_condition("Stalled")
    assert find_condition((), "Stalled") is None
    assert [each.type for each in remove_condition(conditions, "Stalled", "Ready")] == ["Released"]


def test_conditions_of_any_object_are_found_in_its_json() -> None:
    assert get_condition([{"type": "Stalled"}, {"type": "Released"}], "Stalled") == {"type": "Stalled"}
    assert get_condition(None, "Stalled") is None


def test_times_are_written_in_utc() -> None:
    assert (
        rfc3339(datetime(2026, 1, 1, 1, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))) == "2025-12-31T23:00:00Z"
    )


@pytest.mark.parametrize(
    ("generation", "observed", "status", "expected"),
    [
        (2, 2, "True", True),
        (3, 2, "True", False),
        (2, 2, "False", False),
        (2, 2, "Unknown", False),
        (2, -1, "True", False),
    ],
)
def test_ready_means_ready_at_the_present_generation(
    generation: int, observed: int, status: str, expected: bool
) -> None:
    manifest = {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": observed, "conditions": [{"type": "Ready", "status": status}]},
    }
    assert is_ready(manifest) is expected


def test_an_object_without_status_is_not_ready() -> None:
    assert not is_ready({"metadata": {"generation": 1}})
    assert not is_ready({"metadata": {"generation": 1}, "status": None})
    assert not is_ready({"metadata": {}, "status": {}})


@pytest.mark.parametrize("manifest", [None, {}, {"status": None}, {"status": {"conditions": None}}])
def test_what_has_no_condition_has_an_empty_one(manifest: dict[str, Any] | None) -> None:
    assert ready_of(manifest) == {}
