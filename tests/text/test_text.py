"""Texts for people: shortened, listed, without what Secrets hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import ObjectKey
from gitsync.text import leaves, listed, mask_quoted, shorten, shorten_middle, unusual_keys


@given(st.text(), st.integers(min_value=3, max_value=40))
def test_a_text_is_never_longer_than_it_may_be_and_whole_when_it_fits(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text or (short.endswith("...") and text.startswith(short[:-3]))
    assert short == text or len(text) > limit


def test_of_a_long_complaint_both_ends_are_kept_on_one_line() -> None:
    text = "cannot do it:\n" + "x " * 500 + "\nfield is immutable"
    short = shorten_middle(text, 100)
    assert short.startswith("cannot do it: x x")
    assert short.endswith("x field is immutable")
    assert " ... " in short
    assert len(short) <= 110
    assert shorten_middle("a\n  b", 100) == "a b"


def test_many_names_fit_one_line() -> None:
    keys = [ObjectKey("", "ConfigMap", "default", name) for name in "abcde"]
    assert listed(keys[:2]) == "ConfigMap/default/a, ConfigMap/default/b"
    assert listed(keys).endswith("ConfigMap/default/c and 2 more")
    assert listed([]) == ""
    assert listed("abcd", 2, separator="; ") == "a; b and 2 more"


def test_scalars_of_values_count_but_for_the_shortest() -> None:
    values = {"a": ["hunter2", 1, True, None, ""], "b": {"c": 70123, "d": "no"}}
    assert set(leaves(values)) == {"hunter2", "70123"}


def test_keys_that_are_no_names_of_fields_count() -> None:
    fields = {"imagePullSecrets": 1, "prometheus.io/scrape": 2, "log-level": 3, "s3": 4}
    values = {"users": [{"alice@example.com": fields}], "api-key-7f3a": {"nested": 1}, 7700123: "a port"}
    assert set(unusual_keys(values)) == {"alice@example.com", "api-key-7f3a", "7700123"}


def test_quotations_that_hide_something_are_masked_whatever_their_quotes_and_escapes() -> None:
    text = "said \"a \\\"hunter2\\\" b\" and 'hunter2' and `hunter2`, not 'this'"
    seen: list[str] = []

    def hides(quoted: str, plain: str) -> bool:
        seen.append(plain)
        return "hunter2" in plain

    assert mask_quoted(text, hides) == "said … and … and …, not 'this'"
    assert seen[0] == '"a "hunter2" b"'
