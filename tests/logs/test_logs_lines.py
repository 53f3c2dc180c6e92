"""How a line looks, in each format, and that nothing a value holds can change that."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gitsync.api.identity import CommitInfo, ObjectKey, Origin
from gitsync.errors import GitUnavailable, ManifestError
from gitsync.logs.console import Console
from gitsync.logs.lines import MAX_ITEMS, MAX_VALUE, json_line, logfmt_line, make_line

NOON = 1795413600.1234  # 2026-11-23T06:00:00.123Z
COMMIT = CommitInfo("3f2a91c0ffee", author="A", subject="redis: persistence off")
REDIS = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "redis")


def logfmt(event: str, **fields: Any) -> str:
    error = fields.pop("exc_info", None)
    return logfmt_line(make_line("info", event, fields, now=NOON, error=error))


def as_json(event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json_line(make_line("info", event, fields, now=NOON, error=None)))
    return data


def test_the_line_of_the_design() -> None:
    line = logfmt(
        "release upgraded",
        release=REDIS,
        revision=2,
        chart="redis-17.3.14",
        commit=COMMIT,
        created=0,
        changed=2,
        deleted=1,
        took=1.4321,
    )
    assert line == (
        'time=2026-11-23T06:00:00.123Z level=info msg="release upgraded" release=default/redis revision=2 '
        'chart=redis-17.3.14 commit=3f2a91c author=A subject="redis: persistence off" '
        "created=0 changed=2 deleted=1 took=1.4s"
    )


def test_fields_come_in_one_order_whatever_the_call_gave() -> None:
    line = logfmt("x", hint="h", error="e", took=1, failed=1, commit=COMMIT, object="Job/a/b")
    rest = line.split(" msg=x ")[1].replace("redis: persistence off", "s")
    names = [part.split("=")[0] for part in rest.split()]
    assert names == ["object", "commit", "author", "subject", "failed", "took", "error", "hint"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0314159, "31ms"), (1.4321, "1.4s"), (75, "1m15s"), (300.04, "5m0s"), (0, "0s")]
)
def test_durations_are_rounded_for_people(seconds: float, text: str) -> None:
    assert logfmt("x", took=seconds).endswith(f" took={text}")


def test_durations_stay_numbers_in_json_to_the_millisecond() -> None:
    assert as_json("x", {"took": 1.4321987})["took"] == 1.432


def test_an_object_key_is_written_whole_unless_the_field_names_its_kind() -> None:
    assert logfmt("x", release=REDIS).endswith("release=default/redis")
    assert logfmt("x", object=REDIS).endswith("object=HelmRelease/default/redis")


def test_fields_without_a_value_are_left_out() -> None:
    assert logfmt("x", release=None, error=None).endswith("msg=x")


def test_empty_text_and_text_that_needs_quotes_is_quoted() -> None:
    assert logfmt("x", a="", b='say "hi"', c="k=v", d="back\\slash").endswith(
        r'a="" b="say \"hi\"" c="k=v" d="back\\slash"'
    )


def test_lists_maps_and_other_values() -> None:
    fields = {"on": [REDIS, "b"], "places": (Origin("a.yaml", 1),), "m": {"k": True}, "f": 0.1 + 0.2, "t": True}
    assert logfmt("x", **fields).endswith(
        r'on=HelmRelease/default/redis,b places=a.yaml:1 m="{\"k\": true}" f=0.3 t=true'
    )
    assert as_json("x", fields)["m"] == {"k": True}
    assert as_json("x", {"interval": timedelta(minutes=1)})["interval"] == 60


def test_an_error_brings_its_hint_once() -> None:
    away = GitUnavailable("no answer from git.example in 60s", hint="it is tried again")
    assert logfmt("x", error=away).endswith('error="no answer from git.example in 60s" hint="it is tried again"')
    bad = ManifestError("unknown field", origin=Origin("a/b.yaml", 3, 4), hint="did you mean dependsOn?")
    assert logfmt("x", error=bad).endswith('error="a/b.yaml:3:4: unknown field (did you mean dependsOn?)"')


def test_a_defect_brings_its_traceback_and_an_expected_error_does_not() -> None:
    empty: dict[str, str] = {}
    with pytest.raises(KeyError) as caught:
        empty["missing"]
    line = logfmt("x", exc_info=caught.value)
    assert "error=\"KeyError: 'missing'\"" in line
    assert "test_logs_lines.py" in line
    error = make_line("error", "x", {}, now=NOON, error=caught.value)
    _, *below = Console(width=lambda: 120).text(error).split("\n")
    assert below[0].strip().startswith("Traceback")
    assert "\n" not in Console().text(error)
    assert "traceback" not in logfmt("x", exc_info=GitUnavailable("gone"))


def test_a_commit_subject_cannot_forge_a_line_or_steer_a_terminal() -> None:
    evil = CommitInfo(
        "a" * 40, author="\x1b]0;owned\x07", subject="ok\nlevel=error msg=forged\r\x1b[2J\u202eexe\x9b31m"
    )
    for colour in (False, True):
        text = Console(colour=colour).text(make_line("info", "sync", {"commit": evil}, now=NOON, error=None))
        ours = text.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")
        assert ours.isprintable()
    assert r'subject="ok\nlevel=error msg=forged\r\u001b[2J\u202eexe\u009b31m"' in logfmt("sync", commit=evil)


def test_long_values_and_long_lists_are_cut() -> None:
    line = logfmt("x", reason="y" * (MAX_VALUE + 5))
    assert line.endswith('… (+5 characters)"')
    assert len(line) < MAX_VALUE + 200
    assert as_json("x", {"v": list(range(MAX_ITEMS + 3))})["v"][-1] == "+3 more"
    nested: list[Any] = []
    for _ in range(1000):
        nested = [nested]
    assert len(logfmt("x", v=nested)) < MAX_VALUE + 200


def test_secret_values_and_fields_named_like_credentials_are_masked() -> None:
    line = logfmt(
        "x", key=SecretStr("hunter2"), password="hunter2", auth={"token": "hunter2"}, secret="default/redis-auth"
    )
    assert "hunter2" not in line
    assert "secret=default/redis-auth" in line, "the name of a Secret is no secret"


def test_a_value_whose_text_cannot_be_had_does_not_cost_the_line() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert logfmt("x", v=Broken(), a=1).endswith('v="<Broken: RuntimeError in __str__>" a=1')


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.one_of(st.text(), st.floats(), st.binary())))
def test_any_value_gives_one_printable_line_that_reads_back(fields: dict[str, Any]) -> None:
    line = make_line("info", "e", fields, now=NOON, error=None)
    for text in (logfmt_line(line), Console().text(line), json_line(line)):
        assert "\n" not in text
        assert "\x1b" not in text
        text.encode()  # lone surrogates would raise
    read = json.loads(json_line(line))
    assert all(read[name] == value for name, value in line.fields.items() if name not in ("time", "level", "msg"))
