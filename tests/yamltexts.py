"""Generated YAML: scalars that parsers read differently, and what is made of them in flow and block style."""

from __future__ import annotations

import json

from hypothesis import strategies as st

# What YAML 1.1, YAML 1.2 and Kubernetes read differently, and what they agree on.
NUMERIC = st.from_regex(r"[-+]?[0-9._]{1,4}[0-9a-fA-FxXoObB_.eE+-]{0,18}", fullmatch=True)
LONG = st.integers(-(2**66), 2**66).map(str) | st.integers(2**52, 2**65).flatmap(
    lambda value: st.sampled_from(
        [hex(value), f"0{value:o}", f"0o{value:o}", f"0b{value:b}", f"{value:_}", f"{value}.0"]
    )
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
WORDS = (
    "y Y n N yes Yes no NO on On off OFF true True false FALSE yEs null Null ~ none = << 1_000 0644 0o17 1:30 22:22 "
    "2001-12-14 2001-12-14T21:59:43Z 1e3 .5 -.5 1. +1 -0 0x1F 0b11 08 a b-c d.e/f"
)
DATES = st.dates().map(str) | st.datetimes().map(str)
PLAIN = NUMERIC | LONG | FLOATS | st.sampled_from(WORDS.split()) | DATES
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"), max_size=8)
LINES = st.lists(TEXT.map(lambda text: "".join(text.splitlines())), max_size=3).map("\n".join)
QUOTED = (TEXT | LINES | PLAIN).map(json.dumps)
SINGLE = (TEXT | PLAIN).map(lambda text: "'" + text.replace("'", "''") + "'")
TAGGED = st.tuples(st.sampled_from(["!!str", "!", "!local"]), PLAIN | SINGLE).map(" ".join)
SCALAR = PLAIN | QUOTED | SINGLE | TAGGED


def flow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(SCALAR, inner), max_size=3).map(unique_keys)
    return st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]") | pairs.map(
        lambda items: "{" + ", ".join(f"? {key} : {value}" for key, value in items) + "}"
    )


def unique_keys(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Duplicates are refused here and not by kubectl; numbered keys keep most of their first characters' meaning."""
    return [(key if not index else json.dumps(f"{index} {key}"), value) for index, (key, value) in enumerate(pairs)]


FLOW = flow(SCALAR | flow(SCALAR))


def block(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Values that begin on a line of their own, indented by two."""
    lists = st.lists(inner, min_size=1, max_size=2).map(lambda items: "".join(f"\n- {indent(item)}" for item in items))
    maps = st.lists(st.tuples(PLAIN | QUOTED, inner), min_size=1, max_size=2).map(unique_keys)
    return lists | maps.map(lambda items: "".join(f"\n{key} : {indent(value)}" for key, value in items))


def indent(value: str) -> str:
    return value.replace("\n", "\n  ")


def literal(style: str, text: str) -> str:
    return style + "\n" + "\n".join(f"  {line}" for line in text.split("\n"))


LITERAL = st.builds(literal, st.sampled_from(["|", "|-", "|+", ">", ">-", ">+", "|2", ">2-", "|2+"]), LINES)
VALUE = block(SCALAR | FLOW | block(SCALAR | FLOW))
