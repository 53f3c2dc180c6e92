"""What differs between two revisions of a release."""

from __future__ import annotations

import re
from typing import Any

from gitsync.live.revisions import revision_changes, values_at
from gitsync.release.storage.record import Record

OBJECTS = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings}}
data: {{level: {level}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: app}}
"""
HOOK = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: hook}}\ndata: {{level: {level}}}\n"


def record(number: int, level: str, values: dict[str, Any], more: str = "") -> Record:
    hooks = [{"name": "hook", "manifest": HOOK.format(level=level)}]
    text = OBJECTS.format(level=level) + more
    return Record("app", "default", number, "deployed", {"metadata": {"name": "app"}}, values, text, hooks)


def lines(changes: Any) -> dict[tuple[str, str, str, str], list[str]]:
    return {
        (item.verb, item.key.kind, item.key.name, item.why): [str(line) for line in item.diff if line.kind in "+-"]
        for item in changes.objects
    }


def test_values_come_first_then_objects_then_hooks() -> None:
    secret = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: hunter2}\n"
    found = revision_changes(record(1, "info", {"level": "info"}), record(2, "debug", {"level": "debug"}, secret))
    told = lines(found)
    assert list(told) == [
        ("change", "Values", "app", ""),
        ("change", "ConfigMap", "settings", ""),
        ("create", "Secret", "login", ""),
        ("change", "ConfigMap", "hook", "a hook"),
    ]
    assert told["change", "Values", "app", ""] == ["-  level: info", "+  level: debug"]
    assert found.unchanged == 1
    assert "hunter2" not in str(told)


def test_of_what_is_out_of_a_secret_it_is_seen_only_that_it_has_changed_however_short_it_is() -> None:
    hidden = [("auth", "pin"), ("users", 1, "pin")]
    old = record(1, "info", {"auth": {"pin": 1234, "user": "ann"}, "users": [{"pin": 1}, {"pin": 77}]})
    new = record(2, "info", {"auth": {"pin": 9876, "user": "ann"}, "users": [{"pin": 1}, {"pin": 77}]})
    (changed,) = lines(revision_changes(old, new, (), hidden)).values()
    assert [line.partition("masked:")[0] for line in changed] == ["-    pin: ", "+    pin: "]
    told = re.sub(r"masked:[0-9a-f]+", "masked", str(changed))  # digits of a digest are anybody's
    assert not any(digits in told for digits in ("1234", "9876", "77"))
    assert list(values_at(old, [*hidden, ("auth", "nothing"), ("users", 9)])) == [1234, 77]


def test_two_that_are_alike_differ_in_nothing() -> None:
    found = revision_changes(record(1, "info", {"a": 1}), record(2, "info", {"a": 1}))
    assert (found.objects, found.unchanged) == ((), 3)
