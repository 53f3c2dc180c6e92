"""Plain documents are read without a look at every event; what that says must be what the events say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.kubeyaml.outline import outline
from gitsync.kubeyaml.shortcut import plain_mapping

# What YAML is made of, in pieces that fit together often enough.
PIECES = [
    *("\n", "\n  ", "\n    ", "  ", " ", "\t", "\r\n", "a", "0", "-", "=", "é", "😀", "~", "\\", "'", '"', ":", ", "),
    *("a: ", "b: ", "c: 1", "a : ", "n: ", "false: ", "1: ", "0x1: ", "'a': ", '"a": ', '"a":', "a:b", ": ", "a:\n"),
    *("- ", "[", "]", "[a: b, a: c]", '[:b, "c":d]', "{}", "{", "}", "{a: 1, a: 2}", "? ", "&x ", "*x", "<<: ", "!t "),
    *("|\n", "|2\n", ">-\n", "#", " #c: d", "...", "---", "\n---\n", "%", "\u2028", "\x85", "\r", "\ufeff"),
    *("key: value\n", "list:\n- a\n- b\n", "x:\n  z: 1\n", "- a: 1\n  a: 2\n"),
]
DOCUMENTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=1500)
@given(DOCUMENTS | DOCUMENTS.map(lambda text: "k:\n  " + text) | DOCUMENTS.map(lambda text: f"a: 1\n{text}\nb: 2\n"))
def test_the_shortcut_says_what_the_events_say(text: str) -> None:
    plain = plain_mapping(text)
    if plain is None:
        return
    if plain.unique_keys:
        assert outline(text, unique_keys=True) == ("mapping", plain.start)
    assert outline(text, unique_keys=False) == ("mapping", plain.start)


def test_common_manifests_take_the_shortcut() -> None:
    text = """\
# A comment.
apiVersion: apps/v1
kind: Deployment
metadata: {}
spec:
  containers:
    - name: web
      image: registry.example:5000/web:1.2.3
      args: ["--port=8080", '--log=info']
      command: [sh, -c, "echo 1"]
"""
    plain = plain_mapping(text)
    assert plain is not None
    assert plain.unique_keys
    assert not plain_mapping(text + "      image: twice\n").unique_keys  # type: ignore[union-attr]
