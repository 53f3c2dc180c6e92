from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gitsync.api import get_condition, is_ready, remove_condition, rfc3339, set_condition

T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
T1 = T0 + timedelta(minutes=1)


def ready(status: str, message: str, now: datetime, before: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    return set_condition(before, "Ready", status, "Some", message, 3, now)


def test_a_new_condition_is_appended() -> None:
    stalled = {"type": "Stalled", "status": "True"}
    assert ready("True", "ok", T0, [stalled]) == [
        stalled,
        {
            "type": "Ready",
            "status": "True",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-01-02T03:04:05Z",
            "reason": "Some",
            "message": "ok",
        },
    ]


def test_the_transition_time_stays_while_the_status_stays() -> None:
    (condition,) = ready("False", "still waiting", T1, ready("False", "waiting", T0))
    assert condition["message"] == "still waiting"
    assert condition["lastTransitionTime"] == rfc3339(T0)


def test_the_transition_time_changes_with_the_status() -> None:
    (condition,) = ready("True", "waiting", T1, ready("False", "waiting", T0))
    assert condition["lastTransitionTime"] == rfc3339(T1)


def test_saying_the_same_again_gives_an_equal_list() -> None:
    before = ready("True", "ok", T0)
    assert ready("True", "ok", T1, before) == before


def test_the_given_list_is_left_as_it_was() -> None:
    before = ready("False", "waiting", T0)
    ready("True", "ok", T1, before)
    assert before == ready("False", "waiting", T0)


def test_a_message_longer_than_the_api_takes_is_cut() -> None:
    (condition,) = ready("False", "x" * 40_000, T0)
    assert len(condition["message"]) == 32768
    assert condition["message"].endswith("(cut)")


def test_conditions_are_found_and_removed_by_type() -> None:
    conditions = ready("True", "ok", T0, [{"type": "Stalled"}, {"type": "Released"}])
    assert get_condition(conditions, "Stalled") == {"type": "Stalled"}
    assert get_condition(None, "Stalled") is None
    assert [each["type"] for each in remove_condition(conditions, "Stalled", "Ready")] == ["Released"]


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
