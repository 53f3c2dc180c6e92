from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h15m30.918s", 4530.918),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("5.s", 5),
        ("-1.5s", -1.5),
        ("+3s", 3),
        ("100us", 0.0001),
        ("100µs", 0.0001),
        ("7ns", 7e-9),
        ("5m1h", 3900),
    ],
)
def test_reads_what_go_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["", "-", "5", "5 m", "m", ".s", "5min", "1d", "5m ", "0x5s", "1h-5m", "s5", "9999999999h", "5m" * 100]
)
def test_refuses_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (300, "5m0s"),
        (3600, "1h0m0s"),
        (5400, "1h30m0s"),
        (0.3, "300ms"),
        (1.5, "1.5s"),
        (61.25, "1m1.25s"),
        (0.0015, "1.5ms"),
        (2e-6, "2µs"),
        (5e-9, "5ns"),
        (-90, "-1m30s"),
        (59.9999999999, "1m0s"),
    ],
)
def test_writes_what_go_writes(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(min_value=-(10**15), max_value=10**15))
def test_reads_back_what_it_wrote(nanoseconds: int) -> None:
    assert round(parse_duration(format_duration(nanoseconds / 1e9)) * 1e9) == pytest.approx(nanoseconds, abs=1)
