"""Generated documents, read by gitsync and by Kubernetes' own parser (go.yaml.in/yaml/v2), which the Helm SDK carries:
so many more of them than kubectl could be asked about (tests/manifests)."""

from __future__ import annotations

import json
import warnings
from typing import Any

import helm_python
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisWarning

from gitsync.errors import ValuesError
from gitsync.helm.values import read_values
from tests.yamltexts import FLOW, LITERAL, PLAIN, QUOTED, SCALAR, SINGLE, VALUE, indent

warnings.filterwarnings("ignore", category=HypothesisWarning, message="Generating overly large repr")

TAGS = st.sampled_from(
    [
        "!!str",
        "!!int",
        "!!float",
        "!!bool",
        "!!null",
        "!!timestamp",
        "!!binary",
        "!!merge",
        "!!map",
        "!!set",
        "!",
        "!x",
        "!<tag:yaml.org,2002:int>",
    ]
)
FOR_TAGS = st.sampled_from(
    ["aGk=", "aGk", "/w==", "4oKC", "~", "''", "1", "1.0", "yes", ".inf", "18446744073709551615"]
)
TAGGED = st.tuples(TAGS, PLAIN | SINGLE | QUOTED | FOR_TAGS).map(" ".join)
ANYTHING = st.text("abyn0123456789.-+_eExXoObB:~ '\"/\\[]{},&*!|>#?<%@`\t\n", max_size=14)
ESCAPES = st.text('\\abe0nNLP_ xuU/"tr \n0123', max_size=10)
#: Anchors, aliases, merge keys and markers in any order: a third of the texts are documents.
LINES = st.lists(
    st.sampled_from(
        [
            *("a: 1", "  b: &x {c: 1}", "  - 1", "- *x", "d: *x", "? x", "  : y", "e: |", "    text", "f: >-", "# c"),
            *("<<: *x", "<<: [*x, {d: 2}]", "  <<: *x", "  <<: {z: 1}", "h: {<<: *x, c: 3}", "<<: 1", "! <<: *x"),
            *("---", "...", "%YAML 1.1", "&k i: *k", "j: &x [1, *y]", "k: &y 0x1F", "*y : 3", "l: !!merge", "y: &x 2"),
            "'g': \"h\\/i\"",
        ]
    ),
    max_size=8,
).map("\n".join)
TEXTS = {
    "plain scalars": PLAIN.map(lambda text: f"a: {text}"),
    "plain keys": PLAIN.map(lambda text: f"? {text}\n: 1"),
    "tagged scalars": TAGGED.map(lambda text: f"a: {text}"),
    "tagged keys": TAGGED.map(lambda text: f"? {text}\n: 1"),
    "several keys": st.lists(PLAIN | TAGGED, max_size=3).map(lambda keys: "".join(f"? {key}\n: 1\n" for key in keys)),
    "block scalars": LITERAL.map(lambda text: f"a: {indent(text)}"),
    "escapes": ESCAPES.map(lambda text: f'a: "{text}"'),
    "flow style": (FLOW | SCALAR).map(lambda text: f"a: {text}"),
    "block style": VALUE.map(lambda text: f"a: {indent(text)}"),
    "anything": ANYTHING | ANYTHING.map(lambda text: f"a: {text}"),
    "lines": LINES,
}


def original(text: str) -> Any:
    """What Helm reads; None for what it refuses."""
    try:
        return helm_python.values_from_yaml(text) or {}
    except helm_python.HelmError:
        return None


def read(text: str) -> Any:
    """What gitsync reads; None for what it refuses."""
    try:
        return read_values(text)
    except ValuesError:
        return None


def comparable(value: Any) -> Any:
    """Numbers as Helm has them: it is all the same to it how many digits are written beyond 53 bits."""
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return float(value) if type(value) is int and abs(value) > 2**53 else value


def assert_read_alike(text: str) -> None:
    shown = [json.dumps(comparable(value), sort_keys=True) for value in (read(text), original(text))]
    assert shown[0] == shown[1], text


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_generated_values_are_read_as_helm_reads_them(texts: st.SearchStrategy[str]) -> None:
    @settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(texts)
    def alike(text: str) -> None:
        assert_read_alike(text)

    alike()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a: 0b-1",
            "a: .5_0",
            "a: ._5",
            "a: 1e400",
            "a: 1e-400",
            "a: -0.0",
            *("a: +0xffffffffffffffff", "a: 0B-1", "a: -0b1", "a: +0o17", "a: -9223372036854775809", "a: 0x"),
            "a: 08",
            "a: 0_8",
        ),
        *(
            "1e6: a",
            "1e300: a",
            "-1e300: a",
            "1.23456789: a",
            ".nan: a",
            "0.00001: a",
            "18446744073709551615: a",
            "~: a",
        ),
        *(
            "a: !!float 3",
            "a: !!float 18446744073709551615",
            "a: !!int 1.0",
            'a: !!int "12"',
            '! "12": a',
            "!!float 3: a",
        ),
        *("a: [http://host/?b=c]", "a: {b: is it ? yes}", "a: [x ?]", "a: {x?: y}", "a: ['x?', \"y?\"]", "a: x?y"),
        *("a: [?x]", "a: [? x]", "a: {? x : y}", "a: !!timestamp 0001-02-29", "a: !!timestamp 0000-02-29"),
        *("a: !!timestamp 2001-1-1", "a: !!timestamp 2001-02-30", "a: !!timestamp 2001-12-14t21:59:43.10-05:00"),
        *('a: !!binary "aG\\nk="', "a: !!binary 4oI=", "a: !!binary aGk==", "a: !!binary é"),
        *("a: {b: 1}\n<<: {a: 2}", "<<: {a: 2}\na: 1", "<<: [{a: 1}, {a: 2}]", "&k <<: {x: 1}\ny: {*k : {z: 1}}"),
        *(
            "x: &x [{a: 1}]\n<<: *x",
            "<<: null",
            "<<: [1]",
            "%YAML 1.2\n---\na: 1",
            "a: 1\n---\n{",
            "a: 1\n...\n[",
            "[]",
            "1",
        ),
        "a: &a [1, 1]\nb: &b [" + "*a," * 300 + "]\nc: [" + "*b," * 300 + "]",
        "a: &a [1, 1]\nb: [" + "*a," * 300 + "]",
        "a: &a {x: 1}\nb: [" + "{<<: *a}," * 300 + "]",
        "a: '" + "1" * 5000 + "'\nb: " + "1" * 5000 + "\nc: 0x" + "0" * 5000 + "1",
    ],
)
def test_odd_values_are_read_as_helm_reads_them(text: str) -> None:
    assert_read_alike(text)
