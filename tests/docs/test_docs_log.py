"""The log that the README shows looks as logs on a terminal of 120 columns look."""

from __future__ import annotations

import re

from gitsync.logs.console import USUAL_WIDTH
from tests.docs.markdown import ROOT

ROW = re.compile(r"\d\d:\d\d:\d\d (INFO |WARN |ERROR) ([0-9a-f]{7}| {7}) (\S+/\S+/\S+ +| {33})\S")
#: How the rest of an event begins, under its column.
UNDER = re.compile(r" {56}\S")
#: What must be there word for word.
WORDS = ("dependency 'default/redis' is not ready", "all dependencies are ready, proceeding with release")


def test_the_log_in_the_readme_is_one() -> None:
    _, _, rest = (ROOT / "README.md").read_text().partition("```console\n# 1. ")
    rows = rest.partition("```")[0].splitlines()[1:]
    log = [row for row in rows if re.match(r"\d|  ", row)]
    assert len(log) > 20
    assert [row for row in rows if len(row) > USUAL_WIDTH] == []
    assert [row for row in log if not ROW.match(row) and not UNDER.match(row)] == []
    assert [words for words in WORDS if words not in "\n".join(log)] == []
