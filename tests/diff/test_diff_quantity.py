"""Quantities are worth what the official client says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils import quantity as official

from gitsync.diff import parse_quantity, same_quantity

digits = st.text("0123456789", min_size=1, max_size=9)
fractions = st.just("") | digits.map(".{}".format)
numbers = st.builds("{}{}{}".format, st.sampled_from(["", "", "+", "-"]), digits, fractions)
suffixes = st.sampled_from(["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
exponents = st.builds("{}{}".format, st.sampled_from("eE"), st.integers(-9, 9))


@given(numbers, suffixes | exponents)
def test_a_quantity_is_worth_what_the_official_client_says(number: str, suffix: str) -> None:
    assert parse_quantity(number + suffix) == official.parse_quantity(number + suffix)


@pytest.mark.parametrize("text", ["1K", "1_000", "NaN", "Infinity", " 1", "1e9999"])
def test_what_the_official_client_takes_and_kubernetes_refuses_is_no_quantity(text: str) -> None:
    official.parse_quantity(text)
    assert parse_quantity(text) is None


def test_quantities_are_equal_by_their_worth() -> None:
    assert same_quantity("1.5Gi", "1536Mi")
    assert same_quantity(".5", "500m")
    assert same_quantity("1E", "1e18")
    assert same_quantity("5.", 5)


def test_what_is_no_quantity() -> None:
    wrong: list[Any] = ["", "1 Gi", "Gi", "1gi", "--1", "0x10", "1e3Ki", "1" * 100, "1e9999", None, True, []]
    assert [text for text in wrong if parse_quantity(text) is not None] == []
