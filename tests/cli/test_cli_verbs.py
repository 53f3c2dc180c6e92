"""Verbs and kinds: what is in the table of kinds has a command for each verb."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gitsync.cli import main
from gitsync.cli.common.kinds import GENERATOR, KINDS, Kind

VERBS = ("reconcile", "suspend", "resume", "delete", "export")

#: A process that knows one kind more than gitsync does.
ANOTHER_KIND = """
import sys
from gitsync.cli.common import kinds
from gitsync.live import columns as rows
other = kinds.Kind(
    "source.example", "Other", word="other", plural="others", aliases=("ot",), is_source=True,
    columns=rows.Columns(rows.repository_revision, (("AGE", rows.age),)),
    help={verb: f"{verb} of Others." for verb in ("get", "reconcile", "suspend", "resume", "delete", "export")},
)
kinds.KINDS += (other,)
kinds.SHOWN += (other,)
kinds.SOURCES += (other,)
from gitsync.cli import main
for words in sys.argv[1:]:
    assert main([*words.split(), "--help"]) == 0, words
"""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@pytest.mark.parametrize("verb", [*VERBS, "create"])
def test_every_verb_has_a_command_for_every_kind(verb: str, kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    if kind.is_static and verb == "reconcile":  # with no status, there is no answer
        return
    if kind is GENERATOR and verb == "create":  # there is no way to say copies in flags
        return
    assert main([verb, *kind.words.split(), "--help"]) == 0
    assert f"Usage: gitsync {verb} {kind.words}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_kinds_answer_to_their_aliases(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    for word in (kind.plural, kind.kind.lower(), *kind.aliases):
        assert main(["get", word, "--help"]) == 0
        assert f"Show {kind.kind[:8]}" in capsys.readouterr().out
    for word in (kind.plural, *kind.aliases):
        assert main(["suspend", *(["sources"] if kind.is_source else []), word, "--help"]) == 0
        assert f"Suspend {kind.kind[:8]}" in capsys.readouterr().out


def test_one_entry_in_the_table_gives_a_kind_all_its_commands() -> None:
    commands = [f"{verb} source other" for verb in VERBS] + ["get others", "get ot", "get sources other"]
    done = subprocess.run([sys.executable, "-c", ANOTHER_KIND, *commands], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for verb in (*VERBS, "get"):
        assert f"{verb} of Others." in done.stdout


def test_a_timeout_that_is_none_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = ["resume", "helmrelease", "x", "--timeout", "soon", "--kubeconfig", "/nonexistent"]
    assert main(words) == 2
    assert "it is written as 30s, 5m or 1h30m" in " ".join(capsys.readouterr().err.split())
