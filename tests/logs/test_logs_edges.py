"""Whatever way a text takes out of gitsync, and however it spells a value that came out of a Secret: it is masked."""

from __future__ import annotations

import base64
import io
import json
import urllib.parse
import warnings
from contextlib import redirect_stderr
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.cli.common.output import as_json, one_line, print_error, table
from gitsync.cli.repository.changes import change_data, changes_text
from gitsync.diff import DiffLine
from gitsync.errors import GitsyncError, ReleaseError
from gitsync.logs import Console, keep_secret, keeping_secrets, mask_secrets, redact, register_secret
from gitsync.logs.lines import json_line, logfmt_line, make_line
from gitsync.logs.redact import forget_secrets
from gitsync.preview.dryrun import ObjectPreview
from gitsync.runtime.event import Event
from gitsync.runtime.recorder import EventRecorder
from gitsync.text import shorten, shorten_middle

#: Values, of letters that JSON, URLs, YAML, Go and Python each write in their own way. (No dots and no stars, which are
#: in marks, and no space at the ends, which is no part of a value.)
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs"], exclude_characters=".*…'\"\\`")
SECRETS = st.text(LETTERS, min_size=6, max_size=40) | st.text("a<b>&/+?=% é€😀\\\"'", min_size=6, max_size=30).filter(
    lambda text: text == text.strip()
)
WORDS = st.text(st.characters(codec="ascii", categories=["L"]), max_size=20)


def spellings(secret: str) -> list[str]:
    """As Go, Python, JSON and URLs have it, written here once more."""
    data = secret.encode()
    go = json.dumps(secret, ensure_ascii=False)[1:-1]
    for letter, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        go = go.replace(letter, escape)
    return [
        secret,
        json.dumps(secret)[1:-1],
        go,
        repr(secret)[1:-1],
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        f"https://ada:{urllib.parse.quote(secret, safe='')}@git.example/x",
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        base64.b64encode(b"ada:" + data).decode(),
    ]


def tells(text: str, secret: str) -> bool:
    """Whether a text has the value in it, in any spelling that stands for nothing else."""
    shown = {text, _unquoted(text)}
    return any(form in one for form in spellings(secret)[:-1] for one in shown)


def _unquoted(text: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a backslash that escapes nothing, and stays one
        try:
            return text.encode("utf-8", "backslashreplace").decode("unicode_escape")
        except UnicodeDecodeError:
            return text


def lines_of(fields: dict[str, Any], error: BaseException | None) -> dict[str, str]:
    """A log line in every format."""
    line = make_line("error", fields["text"], fields, now=0.0, error=error)
    return {
        "json": json_line(line),
        "logfmt": logfmt_line(line),
        "console": Console().text(line),
        "colours": Console(colour=True).text(line),
        "terminal": Console(width=lambda: 1_000_000).text(line),
    }


def raised(error: Exception) -> Exception:
    """With a stack trace, as one that was met."""
    try:
        raise error
    except Exception as met:
        return met


def outputs(text: str) -> dict[str, str]:
    """Every way out that a text may take."""
    key = ObjectKey("", "ConfigMap", "a", text)
    fields = {
        "text": text,
        "release": key,
        "more": {"deep": [text, {text: text}]},
        "commit": CommitInfo("c" * 40, text, text, 0.0),
        "why": ReleaseError(text, hint=text),
    }
    found = {f"log {name}": line for name, line in lines_of(fields, raised(ValueError(text))).items()}
    found |= {f"log of ours {name}": line for name, line in lines_of(fields, raised(ReleaseError(text))).items()}
    with redirect_stderr(io.StringIO()) as stderr:
        print_error(text, hint=text)
    found["error"] = stderr.getvalue()
    found["json"] = as_json({"a": [text, {"b": text}], "c": (text,)})
    found["table"] = table([[one_line(text), one_line(text)]])
    item = ObjectPreview(key, "change", (DiffLine("+", text),), why=text)
    found["diff"] = changes_text([item], colour=False)
    found["diff in JSON"] = as_json(change_data(item))
    recorder = EventRecorder(None, "test")  # type: ignore[arg-type]  # nothing is written
    about = {"apiVersion": "v1", "kind": "A", "metadata": {"name": "a", "uid": "u"}}
    recorder.record(about, Event("Warning", "Failed", text))
    found["event"] = str([same[1].message for same in recorder._waiting])
    return found


@given(secret=SECRETS, before=WORDS, after=WORDS, data=st.data())
def test_every_way_out_masks_what_is_kept(secret: str, before: str, after: str, data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(spellings(secret)))
    assume(not any(tells(shown, secret) for shown in outputs(f"{before}  {after}").values()))
    with keeping_secrets():
        keep_secret(frozenset({secret}))
        for where, shown in outputs(f"{before} {form} {after}").items():
            assert not tells(shown, secret), where


@given(secret=SECRETS, data=st.data())
def test_every_way_out_masks_what_is_registered(secret: str, data: st.DataObject) -> None:
    forget_secrets()
    assume(not any(tells(shown, secret) for shown in outputs("a  b").values()))  # "Releas" is in a word of ours
    register_secret(secret)
    try:
        for where, shown in outputs(f"a {data.draw(st.sampled_from(spellings(secret)[:-2]))} b").items():
            assert not tells(shown, secret), where
    finally:
        forget_secrets()


SIMPLE = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=40)


@given(secret=SIMPLE, before=st.integers(0, 200), after=st.integers(0, 200), limit=st.integers(20, 120))
def test_what_is_left_of_a_value_where_a_text_was_shortened_is_masked(
    secret: str, before: int, after: int, limit: int
) -> None:
    """Errors are shortened where they come up, which knows nothing of Secrets."""
    text = f"{'- ' * before}{secret}{' -' * after}"
    for cut in (shorten(text, limit), shorten_middle(text, limit)):
        shown = mask_secrets(cut, {secret})
        for length in range(6, len(secret) + 1):
            for piece in (secret[:length], secret[-length:]):
                assert piece not in shown, (cut, shown)


def test_ordinary_marks_of_shortening_stay() -> None:
    text = "waiting ... for it… and more..."
    assert mask_secrets(text, {"hunter2-and-more"}) == text


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("two  words\nand a line", "said: two words and a line!"),
        ("first-line-of-it\nsecond-line-of-it-too", "said: second-line-of-it-too!"),
        ("a<b>&c=d", r'said: {"x":"a\u003cb\u003e\u0026c=d"}!'),
    ],
)
def test_values_are_masked_as_others_write_them(secret: str, text: str) -> None:
    shown = mask_secrets(text, {secret})
    assert "***" in shown
    assert shown.startswith("said: ")
    assert shown.endswith("!")


def test_nothing_is_kept_after_the_work() -> None:
    with keeping_secrets():
        keep_secret(frozenset({"hunter2-again"}))
        assert redact("hunter2-again") == "***"
    assert redact("hunter2-again") == "hunter2-again"
    assert asdict(replace(Event("Normal", "A", "b"), message="c"))["message"] == "c"
    assert issubclass(ReleaseError, GitsyncError)
