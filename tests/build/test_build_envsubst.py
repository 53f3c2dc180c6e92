"""Variables are replaced as Flux replaces them: its own code (fluxcd/pkg, envsubst) is given the same texts."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gitsync.build.envsubst import MAX_DEPTH, BadExpression, Unset, evaluate, parse
from gitsync.build.glob import Trimmer
from gitsync.build.spec import BuildSpec
from gitsync.build.substitute import NotSubstituted, Variables
from tests.build.flux import Flux, FluxError
from tests.cost import costs_below

NAMES = ("a", "b", "_c1", "ä")
#: What expressions are made of, so that many of those that come out of it can be read.
PIECES = (
    *(
        "$",
        "$$",
        "${",
        "}",
        "{",
        "a",
        "b",
        "_c1",
        "ä",
        ":",
        "-",
        ":-",
        ":=",
        "=",
        "?",
        ":?",
        "+",
        ":+",
        "/",
        "//",
        "/#",
    ),
    *("/%", "#", "##", "%", "%%", "^", "^^", ",", ",,", "*", "?", "[", "]", "[a-c]", "[^x]", "\\", "\\/", "\\\\", "1"),
    *("-1", "0", "2", "x", "é", "ß", "ᾀ", "İ", "日", "𝄞", " ", "\n", '"', "'", "9223372036854775808", "+1", "1_0"),
)
WORDS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
NAME = st.sampled_from(NAMES)
VALUE = st.lists(
    st.sampled_from(("a", "b", "abc", "x", "/", "*", "é", "ß", "ᾀ", "日", " ", "1", "[", "\\", "$", "{")), max_size=8
)


def expressions(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Expressions whose parameters are made of ``inner``."""
    number = st.sampled_from(("0", "1", "2", "-1", "-2", "-9", "99", "x", ""))
    pattern = st.one_of(inner, st.sampled_from(("*", "a*", "*b", "?", "[a-c]", "[^a]*", "*/", "[", "a", "é", "*[")))
    return st.one_of(
        st.builds("${{{}{}{}}}".format, NAME, st.sampled_from((":-", ":=", "=", ":?", ":+", "-", "+")), inner),
        st.builds("${{{}:{}}}".format, NAME, number),
        st.builds("${{{}:{}:{}}}".format, NAME, number, number),
        st.builds("${{{}{}{}}}".format, NAME, st.sampled_from(("#", "##", "%", "%%")), pattern),
        st.builds("${{{}{}}}".format, NAME, st.sampled_from((",", ",,", "^", "^^", "", "^^^"))),
        st.builds("${{{}{}{}/{}}}".format, NAME, st.sampled_from(("/", "//", "/#", "/%")), pattern, inner),
        st.builds("${{#{}}}".format, NAME),
    )


TEXTS = st.lists(
    st.one_of(
        WORDS, st.recursive(WORDS, lambda inner: st.one_of(expressions(inner), WORDS), max_leaves=6), expressions(WORDS)
    ),
    max_size=4,
).map("".join)
VARIABLES = st.dictionaries(NAME, VALUE.map("".join), max_size=4)


def ours(text: str, variables: Mapping[str, str], *, strict: bool) -> str | None:
    """What comes out; None for an error."""
    try:
        values = {name: value.encode() for name, value in variables.items()}
        return evaluate(parse(text), values, Trimmer(), strict=strict).decode("utf-8", "replace")
    except (BadExpression, Unset):
        return None


def theirs(flux: Flux, text: str, variables: Mapping[str, str], *, strict: bool) -> str | None:
    try:
        return flux.substitute(text, variables, strict=strict)
    except FluxError:
        return None


@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS, variables=VARIABLES, strict=st.booleans())
@example(text="${a:é}", variables={"a": "x"}, strict=True)
@example(text="$${a} $$${a} $$$${a}", variables={"a": "x"}, strict=True)
@example(text="${a/\\//-} ${a//\\\\/x}", variables={"a": "a/b\\"}, strict=True)
@example(text="${a:1:-1} ${a:-2:1} ${a: -2}", variables={"a": "abc"}, strict=True)
@example(text="${a:-${b}}", variables={"a": "x"}, strict=True)
@example(text="${a:", variables={"a": "x"}, strict=True)
def test_texts_come_out_as_they_do_of_flux(flux: Flux, text: str, variables: Mapping[str, str], strict: bool) -> None:
    mine, other = ours(text, variables, strict=strict), theirs(flux, text, variables, strict=strict)
    if mine is not None and other is not None and "\ufffd" in mine + other:
        return  # characters cut in two: JSON, by which we ask, has no way to say how
    assert mine == other


def test_a_text_without_variables_stays_as_it_is(flux: Flux) -> None:
    text = "$a $(b) $ {c} 5$"
    assert ours(text, {}, strict=True) == theirs(flux, text, {}, strict=True) == text


@pytest.mark.parametrize(
    "text",
    ["${a:=" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1), "${a//x/" + "y" * 100_000 + "}", "${a##*x*x*[x]*b}"],
    ids=["nesting", "size", "matching"],
)
def test_what_would_take_too_much_is_an_error_and_soon(text: str) -> None:
    begin = time.process_time()
    values = {"a": b"x" * 20_000} if "=" not in text else {}
    with pytest.raises(BadExpression):
        evaluate(parse(text), values, Trimmer())
    assert time.process_time() - begin < 30


def test_a_long_text_of_escapes_is_read_in_one_pass() -> None:
    text = "$$" * 500_000 + "${a}"
    assert evaluate(parse(text), {"a": b"!"}, Trimmer()) == b"$" * 500_000 + b"!"


def test_a_long_value_is_trimmed_at_once_by_text_and_stars() -> None:
    """Each of these took a second of the agent's processor, and a tenant may write thousands."""
    value = b"v" * 900_000 + b"-x" + b"w" * 50_000
    patterns = {"##*v*v*x": b"w" * 50_000, "##*v*v*y": value, "%%-*w": b"v" * 900_000}
    found = costs_below(1.0, lambda: [evaluate(parse(f"${{a{it}}}"), {"a": value}, Trimmer()) for it in patterns])
    assert found == list(patterns.values())


def test_the_patterns_of_one_build_may_take_so_much_together() -> None:
    variables = Variables(BuildSpec(variables={f"v{number}": "x" * (1000 + number) for number in range(1000)}))
    begin = time.process_time()
    text = "".join(f"a: ${{v{number}##*x*?y}}\n" for number in range(1000))
    with pytest.raises(NotSubstituted, match="too long to match"):
        variables.substituted(text)
    assert time.process_time() - begin < 20
    assert variables.substituted("a: ${v1##*x}").text == "a: "


def test_what_was_trimmed_before_costs_nothing_again() -> None:
    variables = Variables(BuildSpec(variables={"v": "x" * 60 + "-b"}))
    assert variables.substituted("a: ${v%%?b}\n" * 10_000).text == f"a: {'x' * 60}\n" * 10_000
