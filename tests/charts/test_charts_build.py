"""A chart whose version says which artifact it came in, as helm-controller writes it."""

from __future__ import annotations

import pytest

from gitsync.charts import Charts, ReleaseContext
from gitsync.errors import ChartError
from gitsync.semver import is_strict, with_build
from gitsync.spool import Body
from tests.charts.build import chart_files, config_map, packed

CONTEXT = ReleaseContext("app", "default")


async def test_the_build_is_in_the_version_that_templates_and_the_record_see(charts: Charts) -> None:
    # Helm reads a version without quotes as it is written; so it stays when the chart is written anew.
    files = chart_files(metadata="appVersion: 1.10\n", templates__a_yaml=config_map(v='"{{ .Chart.Version }}"'))
    data = packed(files)
    plain = await charts.from_archive(Body.of(data))
    built = await charts.from_build(Body.of(data), "built", "abcdef123456")
    assert (plain.version, built.version) == ("1.0.0", "1.0.0+abcdef123456")
    assert built.metadata == {**plain.metadata, "version": "1.0.0+abcdef123456"}

    rendered = await charts.render(built, {}, CONTEXT)
    assert rendered.objects[0]["data"] == {"v": "1.0.0+abcdef123456"}
    assert rendered.chart_record["metadata"]["version"] == "1.0.0+abcdef123456"
    other = await charts.render(await charts.with_values(built, {"a": 1}, "other values"), {}, CONTEXT)
    assert other.objects == rendered.objects


async def test_what_is_no_chart_is_no_chart_with_a_build_either(charts: Charts) -> None:
    with pytest.raises(ChartError):
        await charts.from_build(Body.of(packed({"README.md": b"hello"})), "none", "abcdef123456")


@pytest.mark.parametrize(
    ("version", "built"),
    [("1.2.3", "1.2.3+b"), ("v1.2", "1.2.0+b"), ("1.2.3-rc.1+old", "1.2.3-rc.1+b"), ("2", "2.0.0+b")],
)
def test_a_build_takes_the_place_of_another(version: str, built: str) -> None:
    assert with_build(version, "b") == built


def test_only_versions_of_three_numbers_are_strict() -> None:
    texts = ("1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3+b", "1.2", "1", "01.2.3", "1.2.3.4", "latest")
    assert {text for text in texts if is_strict(text)} == {"1.2.3", "v1.2.3", "1.2.3-rc.1", "1.2.3+b"}
