from __future__ import annotations

from pathlib import Path

import pytest

from gitsync.semver import BadVersion, Constraint, Version, choose, compatible

TABLE = Path(__file__).with_name("masterminds_semver.txt")


def answers(constraint: str, versions: list[str]) -> str:
    """One character a version, as the table has them."""
    try:
        parsed = Constraint.parse(constraint)
    except BadVersion:
        return "!"
    result = ""
    for text in versions:
        try:
            result += "01"[parsed.allows(Version.parse(text))]
        except BadVersion:
            result += "!"
    return result


def test_says_what_masterminds_semver_says() -> None:
    rows = [line.split("\t") for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    versions = rows[0][1].split(";")

    different = [(row[0], row[1], answers(row[0], versions)) for row in rows[1:] if answers(row[0], versions) != row[1]]

    assert len(rows) > 500
    assert different == []


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("1.2.0", "1.2.0"),
        ("", "2.0.0"),
        ("*", "2.0.0"),
        (">=1.0.0 <2", "1.3.0"),
        ("~1.2", "1.2.5"),
        ("^1", "1.3.0"),
        ("1.x", "1.3.0"),
        ("1.0.0 - 1.2.0", "1.2.0"),
        ("<1 || >=2", "2.0.0"),
        (">=2.0.0-0", "2.1.0-rc.1"),
        ("2.1.0-rc.1", "2.1.0-rc.1"),
        ("v1.2.0", "1.2.0"),
        ("=1.2.0+build", "1.2.0"),
        ("3", None),
        ("nightly", "nightly"),
    ],
)
def test_chooses_the_exact_text_or_else_the_highest_in_range(wanted: str, chosen: str | None) -> None:
    published = ["2.1.0-rc.1", "2.0.0", "1.3.0", "1.2.5", "1.2.0", "0.9.0", "nightly"]

    assert choose(published, wanted) == chosen


def test_of_versions_that_differ_in_build_metadata_the_first_listed_wins() -> None:
    assert choose(["1.0.0+new", "1.0.0+old"], "1.x") == "1.0.0+new"
    assert choose(["1.0.0+new", "1.0.0+old"], "1.0.0+old") == "1.0.0+old"


@pytest.mark.parametrize("wanted", ["latest", ">=", "1.2.3.4", "1 ||", "a" * 1000, "||".join(["1"] * 40)])
def test_what_is_neither_listed_nor_a_constraint_is_refused(wanted: str) -> None:
    with pytest.raises(BadVersion):
        choose(["1.0.0"], wanted)


def test_versions_order_as_semver_says() -> None:
    ordered = [
        "1.0.0-1",
        "1.0.0-2",
        "1.0.0-10",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta",
        "1.0.0",
        "1.0.1",
        "1.10.0",
    ]

    assert sorted(ordered, key=lambda text: Version.parse(text).order, reverse=True) == ordered[::-1]
    assert Version.parse("v1.2") == Version.parse("1.2.0+build")
    assert hash(Version.parse("v1.2")) == hash(Version.parse("1.2.0+build"))


def test_a_version_with_a_suffix_is_a_prerelease_for_a_charts_kube_version() -> None:
    assert not compatible(">=1.25.0", "v1.33.4-gke.1245000")
    assert compatible(">=1.25.0-0", "v1.33.4-gke.1245000")
    assert not compatible("nonsense", "v1.33.4")


@pytest.mark.timeout(60)
def test_hostile_text_is_judged_quickly() -> None:
    for text in ("1" * 512, ">" * 512, "1." * 200, "1-" + "a." * 120, " " * 500, "1 - " * 100, "x" * 500):
        answers(text, ["1.0.0"])
        answers("1.x", [text])
