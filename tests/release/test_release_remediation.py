"""Which revision a rollback may go to, and how it is told that its record was changed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gitsync.release.reconcile.remediation import candidates, mismatch
from gitsync.release.revision import content_of
from gitsync.release.storage.record import (
    CHART_DIGEST,
    TESTS,
    VALUES_DIGEST,
    Digests,
    Record,
    Status,
    Summary,
    checksum,
    decode,
    encode,
)

HOOK = {
    "name": "migrate",
    "kind": "Job",
    "path": "redis/templates/migrate.yaml",
    "manifest": "kind: Job\n",
    "events": ["pre-upgrade"],
    "weight": 1,
}
RECORD = Record(
    name="redis",
    namespace="default",
    version=2,
    status="deployed",
    chart={"metadata": {"name": "redis", "version": "17.3.14"}, "templates": [{"name": "a", "data": "eA=="}]},
    config={"count": 3, "ratio": 1.0, "large": 12345678901234567890, "list": [1, {"b": None}]},
    manifest="---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: redis}\n",
    hooks=[HOOK],
)


def summary(version: int, status: Status, tests: str = "") -> Summary:
    return Summary("redis", "default", version, status, "", {TESTS: tests} if tests else {})


def test_the_deployed_revision_comes_first_then_what_was_deployed_the_newest_first() -> None:
    known = [
        summary(1, "superseded"),
        summary(2, "failed"),
        summary(3, "superseded"),
        summary(4, "deployed"),
        summary(5, "pending-rollback"),
        summary(6, "failed"),
    ]
    assert [item.version for item in candidates(known, failed_tests=False)] == [4, 3, 1]
    assert candidates([summary(1, "failed")], failed_tests=False) == []


def test_a_revision_whose_tests_failed_is_good_only_where_they_do_not_count() -> None:
    known = [summary(1, "superseded", "Succeeded"), summary(2, "deployed", "Failed")]
    assert [item.version for item in candidates(known, failed_tests=False)] == [1]
    assert [item.version for item in candidates(known, failed_tests=True)] == [2, 1]


def as_go_writes_it(record: Record) -> Record:
    """The record as Helm rewrites it: numbers are floats to it, and whole ones lose their fraction."""

    def number(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: number(item) for key, item in value.items()}
        if isinstance(value, list):
            return [number(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return int(float(value))
        return value

    body: dict[str, Any] = number(record.config)
    return replace(record, config=body, status="superseded", hooks=[{**HOOK, "last_run": {"phase": "Succeeded"}}])


def test_what_happens_to_a_record_in_its_life_changes_no_digest() -> None:
    digest = checksum(RECORD)
    assert mismatch(decode(encode(RECORD)), digest) == ""
    assert mismatch(RECORD.now("superseded", "Superseded by 3", last_deployed="2026-11-23T06:30:00Z"), digest) == ""
    assert mismatch(decode(encode(as_go_writes_it(RECORD))), digest) == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"manifest": "---\nkind: ConfigMap\n---\nkind: Secret\n"},
        {"config": {**RECORD.config, "count": 4}},
        {"chart": {"metadata": {"name": "redis", "version": "17.3.15"}}},
        {"version": 1},
        {"hooks": []},
        {"hooks": [{**HOOK, "manifest": "kind: Pod\n"}]},
        {"hooks": [{**HOOK, "events": ["pre-rollback"]}]},
    ],
    ids=lambda changed: json.dumps(changed)[:60],
)
def test_a_change_of_what_a_rollback_would_bring_back_is_noticed(changed: dict[str, Any]) -> None:
    assert mismatch(replace(RECORD, **changed), checksum(RECORD)) == "its record was changed since"


def test_a_revision_of_which_nothing_is_remembered_is_nobody_s_word_to_take() -> None:
    assert mismatch(RECORD, "") == "the HelmRelease's history does not have it"


def test_what_is_rolled_back_to_is_told_from_what_is_wanted_even_when_helm_wrote_it() -> None:
    ours = replace(RECORD, annotations={CHART_DIGEST: "sha256:chart", VALUES_DIGEST: "sha256:values"})
    assert content_of(ours).digests == Digests("sha256:chart", "sha256:values")
    assert content_of(RECORD).digests == Digests(checksum(RECORD), checksum(RECORD))
