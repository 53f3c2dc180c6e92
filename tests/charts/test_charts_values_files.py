"""valuesFiles: files of the chart in place of its values.yaml."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gitsync.charts import Chart, Charts, ReleaseContext
from gitsync.errors import ValuesError
from gitsync.spool import Body
from tests.charts.build import chart_files, config_map, from_files

CONTEXT = ReleaseContext("app", "default")


async def chart(charts: Charts) -> Chart:
    files = chart_files(
        "app",
        values_yaml="a: default\nnested: {one: 1, list: [1, 2]}\n",
        prod__values_yaml="nested: {two: 2, list: [3]}\nb: prod\n",
        extra_yaml='b: "later \\x85 \U0001f600 \\x7f"\n',
        list_yaml="- no mapping\n",
        templates__a_yaml=config_map(a="{{ .Values | toJson | quote }}"),
    )
    return await from_files(charts, files | {"binary.yaml": b"\xff\xfe"}, "tree")


async def values(charts: Charts, paths: Sequence[str], *, ignore_missing: bool = False) -> dict[str, object]:
    other = await charts.with_values_files(
        await chart(charts), paths, f"{paths} {ignore_missing}", ignore_missing=ignore_missing
    )
    return dict(other.values)


async def test_they_replace_the_defaults_and_the_later_wins(charts: Charts) -> None:
    assert await values(charts, ["./prod/values.yaml"]) == {"nested": {"two": 2, "list": [3]}, "b": "prod"}
    assert await values(charts, ["prod/values.yaml", "extra.yaml"]) == {
        "nested": {"two": 2, "list": [3]},
        "b": "later \x85 \U0001f600 \x7f",
    }
    assert await values(charts, ["values.yaml", "prod/values.yaml"]) == {
        "a": "default",
        "nested": {"one": 1, "two": 2, "list": [3]},
        "b": "prod",
    }


async def test_a_missing_one_is_an_error_unless_that_is_forgiven(charts: Charts) -> None:
    with pytest.raises(ValuesError, match=r"chart app 1\.0\.0 has no values file 'staging\.yaml'"):
        await values(charts, ["values.yaml", "staging.yaml"])
    found = await values(charts, ["staging.yaml", "prod/values.yaml"], ignore_missing=True)
    assert found == {"nested": {"two": 2, "list": [3]}, "b": "prod"}


@pytest.mark.parametrize("path", ["list.yaml", "binary.yaml"])
async def test_one_that_holds_no_mapping_is_named(charts: Charts, path: str) -> None:
    with pytest.raises(ValuesError, match=f"values file '{path}' of chart app 1.0.0 holds no YAML mapping"):
        await values(charts, [path])


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "prod", ""])
async def test_no_path_leads_out_of_the_chart(charts: Charts, path: str) -> None:
    with pytest.raises(ValuesError, match="has no values file"):
        await values(charts, [path])


async def test_they_are_what_templates_and_the_record_see_and_the_chart_itself_is_left_alone(charts: Charts) -> None:
    plain = await chart(charts)
    other = await charts.with_values_files(plain, ["prod/values.yaml"], "other")
    rendered = await charts.render(other, {"nested": {"mine": 0}}, CONTEXT)
    assert rendered.objects[0]["data"]["a"] == '{"b":"prod","nested":{"list":[3],"mine":0,"two":2}}'
    assert rendered.chart_record["values"] == {"nested": {"two": 2, "list": [3]}, "b": "prod"}
    assert rendered.chart_record["metadata"] == plain.metadata
    assert (await charts.render(plain, {}, CONTEXT)).chart_record["values"]["a"] == "default"


async def test_files_from_elsewhere_are_taken_in_place_of_the_charts_own(charts: Charts) -> None:
    plain = await chart(charts)
    other = await charts.with_values_files(plain, ["./env/x.yaml"], "x", files={"./env/x.yaml": Body.of(b"x: 1")})
    assert other.values == {"x": 1}
    with pytest.raises(ValuesError, match="has no values file"):
        await charts.with_values_files(plain, ["values.yaml"], "y", files={})


async def test_the_same_files_are_loaded_once(charts: Charts) -> None:
    plain = await chart(charts)
    first = await charts.with_values_files(plain, ["prod/values.yaml"], "other")
    assert await charts.with_values_files(plain, ["prod/values.yaml"], "other") is first
