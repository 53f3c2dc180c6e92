"""How lines look to people: in columns, on any width, and never anything that steers the terminal."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.logs import Console
from gitsync.logs.console import USUAL_WIDTH
from gitsync.logs.lines import make_line
from tests.screen import STEERING

NOON = 1795413600.1234
COMMIT = CommitInfo("3f2a91c0ffee", author="Ann", subject="redis: persistence off")
OLDER = CommitInfo("bea210c0ffee", author="Bea", subject="backend: two replicas")
REDIS = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "redis")
KUSTOMIZATION = ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", "default", "apps")
#: What the log itself may write beside printable characters.
OURS = re.compile(r"\x1b\[(?:[012]|3[1236])m")
REASON = (
    "not ready within 5s: StatefulSet/default/redis-master: 0 of 1 replicas ready; pod redis-master-0: "
    'ImagePullBackOff: Back-off pulling image "registry.example/redis:nonexistent"'
)
HINT = "the next change of this release, its chart or its values tries again"


def shown(*lines: tuple[str, str, dict[str, Any]], width: int | None = USUAL_WIDTH, verbose: bool = False) -> list[str]:
    """The rows of a log, each event after its clock."""
    console = Console(width=(lambda: width) if width is not None else None, verbose=verbose)
    text = "\n".join(
        console.text(make_line(level, event, fields, now=NOON, error=None)) for level, event, fields in lines
    )
    return [re.sub(r"^\d\d:\d\d:\d\d", "12:00:00", row) for row in text.split("\n")]


def test_a_log_is_in_columns() -> None:
    rows = shown(
        ("info", "sync started", {"commit": COMMIT, "files": 2, "objects": 0, "releases": 2}),
        (
            "info",
            "object changed",
            {"object": REDIS, "origin": "a.yaml:1:1", "why": "changed in Git", "commit": COMMIT},
        ),
        ("info", "dependency 'default/redis' is not ready", {"release": REDIS, "commit": COMMIT}),
        ("info", "all dependencies are ready, proceeding with release", {"release": REDIS, "commit": COMMIT}),
        ("info", "sync finished", {"sync": "default/apps", "commit": COMMIT, "created": 0, "changed": 1, "took": 1.43}),
        ("warning", "API server answers again", {"after": "12s"}),
    )
    assert rows == [
        '12:00:00 INFO  3f2a91c                                  sync started by Ann "redis: persistence off" files=2 '
        "releases=2",
        "12:00:00 INFO  3f2a91c HelmRelease/default/redis        object changed: changed in Git",
        "12:00:00 INFO  3f2a91c HelmRelease/default/redis        dependency 'default/redis' is not ready",
        "12:00:00 INFO  3f2a91c HelmRelease/default/redis        all dependencies are ready, proceeding with release",
        "12:00:00 INFO  3f2a91c Kustomization/default/apps       sync finished changed=1 took=1.4s",
        "12:00:00 WARN                                           API server answers again after=12s",
    ]


def test_long_reasons_wrap_under_their_column_and_the_hint_has_its_own_row() -> None:
    under = " " * 56
    fields = {"release": REDIS, "tries": 1, "commit": COMMIT, "error": REASON, "hint": HINT}
    assert shown(
        ("info", "sync started", {"commit": COMMIT}),
        ("error", "upgrade retries exhausted", fields),
    )[1:] == [
        "12:00:00 ERROR 3f2a91c HelmRelease/default/redis        upgrade retries exhausted: not ready within 5s:",
        under + "StatefulSet/default/redis-master: 0 of 1 replicas ready; pod",
        under + "redis-master-0: ImagePullBackOff: Back-off pulling image",
        under + '"registry.example/redis:nonexistent" tries=1',
        under + "hint: the next change of this release, its chart or its values",
        under + "tries again",
    ]


def test_on_a_narrow_terminal_what_happened_goes_on_further_left() -> None:
    assert shown(("info", "waiting", {"release": REDIS, "for": REASON}), width=80) == [
        "12:00:00 INFO          HelmRelease/default/redis waiting for not ready within",
        "                       5s: StatefulSet/default/redis-master: 0 of 1 replicas",
        "                       ready; pod redis-master-0: ImagePullBackOff: Back-off",
        '                       pulling image "registry.example/redis:nonexistent"',
    ]


def test_elsewhere_an_event_is_one_line_and_nothing_of_it_is_cut() -> None:
    (row,) = shown(
        ("error", "upgrade retries exhausted", {"release": REDIS, "error": REASON, "hint": HINT, "commit": COMMIT}),
        width=None,
    )
    assert row.endswith(
        "HelmRelease/default/redis        "
        f'upgrade retries exhausted: {REASON} (commit by Ann "redis: persistence off") hint: {HINT}'
    )


def test_author_and_subject_of_a_commit_are_said_once_where_it_is_first_spoken_of() -> None:
    fields = {"release": REDIS, "commit": COMMIT}
    rows = shown(
        ("info", "release upgraded", fields),
        ("info", "release upgraded", {"release": REDIS, "commit": OLDER}),
        ("info", "release is ready again", fields),
        ("info", "release is ready again", {"release": REDIS, "commit": OLDER}),
    )
    assert [row.partition("redis        ")[2] for row in rows] == [
        'release upgraded (commit by Ann "redis: persistence off")',
        'release upgraded (commit by Bea "backend: two replicas")',
        "release is ready again",
        "release is ready again",
    ]


def test_verbose_says_from_which_file_and_line_an_object_came() -> None:
    fields: dict[str, Any] = {"object": REDIS, "origin": "fleet/redis.yaml:1:1"}
    assert "fleet/redis.yaml" not in "".join(shown(("info", "object created", fields)))
    (row,) = shown(("info", "object created", fields), verbose=True)
    assert row.endswith("object created origin=fleet/redis.yaml:1:1")


def test_a_long_field_that_is_no_reason_is_cut_on_a_terminal_only_unless_verbose() -> None:
    fields: dict[str, Any] = {"names": ", ".join(f"definition-{number}" for number in range(20))}
    rows = shown(("info", "custom resource definitions applied", fields))
    assert len(rows) == 3
    assert rows[-1].endswith('..."')
    assert "definition-19" in "".join(shown(("info", "x", fields), verbose=True))
    assert "definition-19" in "".join(shown(("info", "x", fields), width=None))


def test_what_a_line_is_about_stands_in_one_column_whatever_the_field_is_called() -> None:
    about: dict[str, dict[str, Any]] = {
        "HelmRelease/default/redis": {"release": REDIS, "object": None},
        "Kustomization/default/apps": {"kustomization": KUSTOMIZATION, "repository": "https://git.example/fleet.git"},
        "apps/redis.yaml:3:1": {"file": "apps/redis.yaml:3:1"},
        "HelmRepository/default/redis": {"repository": "default/redis", "kind": "HelmRepository"},
        "": {"repository": "git@git.example:fleet.git"},
    }
    for object_, fields in about.items():
        (row,) = shown(("info", "x", fields), width=None)
        assert row[23:].partition(" ")[0] == object_
        assert row[55:].startswith(" x")
    assert "repository=git@git.example:fleet.git" in row


def test_an_object_with_a_long_name_pushes_what_happened_and_is_whole() -> None:
    long = f"Deployment/monitoring/{'x' * 30}"
    assert shown(("info", "object created", {"object": long})) == [f"12:00:00 INFO          {long} object created"]
    longer = f"Deployment/monitoring/{'x' * 200}"
    rows = shown(("info", "object created", {"object": longer}))
    assert longer in "".join(row.strip() for row in rows)
    assert all(len(row) <= USUAL_WIDTH for row in rows)


NAMES = [
    "object",
    "release",
    "repository",
    "file",
    "sync",
    "why",
    "error",
    "for",
    "hint",
    "origin",
    "author",
    "subject",
]
NAMES += ["commit", "traceback", "took", "created", "chart", "other"]
FIELDS = st.dictionaries(
    st.sampled_from(NAMES),
    st.text() | st.integers() | st.lists(st.text(), max_size=3) | st.dictionaries(st.text(), st.text(), max_size=2),
)
LEVELS_OF_OURS = ["debug", "info", "warning", "error", "critical"]
LEVELS = st.sampled_from([*LEVELS_OF_OURS, "\x1b[2J"])
#: Letters of two columns, too.
EVENTS = st.text() | st.sampled_from(["waiting", "日本" * 100])


@pytest.mark.parametrize("colour", [False, True])
@given(level=LEVELS, event=EVENTS, fields=FIELDS, width=st.none() | st.integers(1, 200))
def test_whatever_is_logged_a_terminal_gets_rows_that_fit_and_our_own_colours(
    colour: bool, level: str, event: str, fields: dict[str, Any], width: int | None
) -> None:
    console = Console(colour=colour, width=None if width is None else lambda: width, verbose=True)
    text = console.text(make_line(level, event, fields, now=NOON, error=None))
    rows = (OURS.sub("", text) if colour else text).split("\n")
    assert [letter for row in rows for letter in row if unicodedata.category(letter) in STEERING] == []
    if width is None:
        assert len(rows) == 1
    elif width >= 40 and "traceback" not in fields and level in LEVELS_OF_OURS:
        assert max(map(cell_len, rows)) <= width


def test_a_hint_of_nothing_is_no_field() -> None:
    line = make_line("warning", "notifications are not served", {"why": "forbidden", "hint": ""}, now=NOON, error=None)
    assert list(line.fields) == ["why"]
