from __future__ import annotations

import asyncio
import gc
import json
import re
from typing import Any

import helm_python
import pytest

from gitsync.charts import Capabilities, Chart, Charts, ReleaseContext, Rendered, parse_objects
from gitsync.charts.serve import files_below
from gitsync.errors import ChartError, ClusterUnavailable, RenderError, ValuesError
from gitsync.helm import native
from gitsync.helm.loaded import LoadedChart
from gitsync.helm.rendering import render
from gitsync.spool import Body
from tests.charts.build import chart_files, config_map, from_files, packed
from tests.charts.cases import DATA
from tests.charts.inprocess import request

CONTEXT = ReleaseContext("demo", "apps")
NOBODY = {"kube_apiserver": "http://127.0.0.1:1", "kube_token": "s3cret-word"}


async def chart(charts: Charts, **files: str) -> Chart:
    return await loaded(charts, chart_files(**files))


async def loaded(charts: Charts, files: dict[str, bytes]) -> Chart:
    data = packed(files)
    return await charts.from_archive(Body.of(data))


async def data_of(
    charts: Charts, template: str, values: dict[str, Any] | None = None, **options: Any
) -> dict[str, Any]:
    """The data of the ConfigMap that a one-template chart renders."""
    rendered = await charts.render(await chart(charts, templates__a_yaml=template), values or {}, CONTEXT, **options)
    data: dict[str, Any] = rendered.objects[0]["data"]
    return data


async def failing(charts: Charts, template: str, values: dict[str, Any] | None = None) -> RenderError:
    with pytest.raises(RenderError) as caught:
        await charts.render(await chart(charts, templates__a_yaml=template), values or {}, CONTEXT)
    return caught.value


async def test_templates_see_the_release(charts: Charts) -> None:
    template = config_map(
        name="{{ .Release.Name }}",
        seen='"{{ .Release.Namespace }} {{ .Release.Revision }} {{ .Release.IsInstall }} {{ .Release.IsUpgrade }}"',
    )
    context = ReleaseContext("demo", "apps", revision=3, is_install=False, is_upgrade=True)

    rendered = await charts.render(await chart(charts, templates__a_yaml=template), {}, context)

    assert rendered.objects == (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "demo"},
            "data": {"seen": "apps 3 false true"},
        },
    )


async def test_what_only_helms_own_parser_takes_is_rendered(charts: Charts) -> None:
    """libyaml refuses a text within brackets that ends with a colon."""
    app = await chart(
        charts, templates__a_yaml="apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n  ranges: [fe80::]\n"
    )
    assert (await charts.render(app, {}, CONTEXT)).objects[0]["spec"] == {"ranges": ["fe80::"]}


async def test_the_same_input_is_rendered_once_and_another_anew(charts: Charts) -> None:
    app = await chart(charts, templates__a_yaml=config_map(a="{{ .Values.a }}"))

    async def render(values: dict[str, Any], context: ReleaseContext = CONTEXT) -> Rendered:
        return await charts.render(app, values, context)

    first = await render({"a": "x", "b": 1})
    assert await render({"a": "x", "b": 1}) is first
    assert (await render({"a": "z", "b": 1})).objects[0]["data"] == {"a": "z"}
    assert (await render({"a": "x", "b": 1}, ReleaseContext("other", "apps"))).objects[0]["metadata"]["name"] == "other"


@pytest.mark.parametrize(
    "expression",
    [
        "randAlphaNum 20",
        "uuidv4",
        "now | unixEpoch",
        'genCA "x" 1 | toString | sha256sum',
        'htpasswd "a" "b"',
        'lookup "v1" "Pod" "" "" | toString',
        'tpl "{{ randAlphaNum 20 }}" $',
        "tpl .Values.template $",
    ],
)
async def test_what_may_come_out_differently_is_never_remembered(charts: Charts, expression: str) -> None:
    app = await chart(charts, templates__a_yaml=config_map(a=f"x{{{{ {expression} }}}}"))
    values = {"template": "{{ randAlphaNum 20 }}"}

    first = await charts.render(app, values, CONTEXT)

    assert await charts.render(app, values, CONTEXT) is not first


async def test_a_subchart_that_one_release_disables_is_there_for_the_next(charts: Charts) -> None:
    app = await from_files(charts, files_below(DATA / "subcharts"), "subcharts")

    async def kinds(values: dict[str, Any]) -> list[str]:
        return [item["kind"] for item in (await charts.render(app, values, CONTEXT)).objects]

    off = {"cache": {"enabled": False}}
    results = await asyncio.gather(*(kinds({"n": n} | (off if n % 2 else {})) for n in range(20)))

    assert results[0::2] == [["ConfigMap", "ConfigMap", "Service", "Deployment"]] * 10
    assert results[1::2] == [["ConfigMap", "ConfigMap", "Service"]] * 10


def test_two_hundred_releases_of_a_chart_need_one_handle() -> None:
    app = LoadedChart(packed(chart_files(templates__a_yaml=config_map(a="{{ .Values.n }}"))), "x")
    gc.collect()
    before = helm_python.open_handles_count()

    rendered = [render(app, request({"n": n})) for n in range(200)]

    assert [each.objects[0]["data"]["a"] for each in rendered] == list(range(200))
    assert helm_python.open_handles_count() == before


async def test_a_chart_without_lookup_asks_the_cluster_nothing(charts: Charts) -> None:
    assert await data_of(charts, config_map(a="b"), access=NOBODY) == {"a": "b"}


async def test_a_lookup_that_nobody_answers_is_the_environments_fault(charts: Charts) -> None:
    with pytest.raises(ClusterUnavailable) as caught:
        await data_of(charts, config_map(a='{{ lookup "v1" "Pod" "" "" | len }}'), access=NOBODY)

    assert "s3cret" not in str(caught.value)


async def test_without_a_cluster_lookup_finds_nothing(charts: Charts) -> None:
    assert await data_of(charts, config_map(a='"{{ lookup "v1" "Pod" "" "" | len }}"')) == {"a": "0"}


EXPRESSIONS = [
    ".Capabilities.APIVersions.Has API",
    "$.Capabilities.APIVersions.Has API",
    "if .Capabilities.APIVersions.Has API }}true{{ else }}false{{ end",
    "and true (.Capabilities.APIVersions.Has API)",
    "$root := . }}{{ $root.Capabilities.APIVersions.Has API",
    ".Capabilities.APIVersions | has API",
    'include "asked" (dict "context" $ "for" API)',
    "with $ }}{{ .Capabilities.APIVersions.Has API }}{{ end",
    'tpl "{{ .Capabilities.APIVersions.Has .Values.for }}" $',
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
async def test_templates_are_told_what_the_cluster_serves_and_nothing_else(charts: Charts, expression: str) -> None:
    capabilities = Capabilities.of("v1.33.4-gke.12", [("apps", "v1", "Deployment"), ("", "v1", "Pod")])
    helper = b'{{ define "asked" }}{{ .context.Capabilities.APIVersions.Has .for }}{{ end }}'
    answers = {}
    # policy/v1beta1 is one of those that the SDK's own list has for every cluster.
    for api in ("apps/v1", "apps/v1/Deployment", "v1/Pod", "policy/v1beta1", "example.com/v1"):
        template = config_map(a="{{ " + re.sub(r"\bAPI\b", f'"{api}"', expression) + " }}")
        app = await loaded(charts, chart_files(templates__a_yaml=template) | {"templates/_helpers.tpl": helper})
        rendered = await charts.render(app, {"for": api}, CONTEXT, capabilities=capabilities)
        answers[api] = rendered.objects[0]["data"]["a"]

    assert answers == {
        "apps/v1": True,
        "apps/v1/Deployment": True,
        "v1/Pod": True,
        "policy/v1beta1": False,
        "example.com/v1": False,
    }


async def test_templates_are_told_the_clusters_version(charts: Charts) -> None:
    seen = "{{ .Capabilities.KubeVersion.Version }}/{{ .Capabilities.KubeVersion.Minor }}"
    capabilities = Capabilities("v1.33.4-gke.12", ("v1",))

    assert await data_of(charts, config_map(a=seen), capabilities=capabilities) == {"a": "v1.33.4-gke.12/33"}


async def test_a_chart_for_another_kubernetes_is_refused(charts: Charts) -> None:
    app = await chart(charts, metadata='kubeVersion: ">=1.40.0-0"\n')
    with pytest.raises(ChartError, match=r"requires Kubernetes >=1\.40\.0-0, and the cluster has v1\.33\.4"):
        await charts.render(app, {}, CONTEXT, capabilities=Capabilities("v1.33.4", ("v1",)))


async def test_values_that_break_the_schema_name_their_path_and_not_themselves(charts: Charts) -> None:
    app = await from_files(charts, files_below(DATA / "schema"), "schema")
    values = {"replicas": "many", "password": "S3CRET", "inner": {"level": "high"}}

    with pytest.raises(ValuesError, match="replicas: got string, want integer") as caught:
        await charts.render(app, values, CONTEXT)

    assert dict(caught.value.fields) == {
        "replicas": "got string, want integer",
        "password": "value does not match pattern '^[a-z]+$'",
        "inner.level": "got string, want integer",
    }
    assert (caught.value.chart, caught.value.version) == ("schema", "1.0.0")
    assert "S3CRET" not in str(caught.value)


async def test_schemas_can_be_left_out_of_it_those_of_subcharts_too(charts: Charts) -> None:
    app = await from_files(charts, files_below(DATA / "schema"), "schema")
    values = {"replicas": "many", "inner": {"level": "high"}}

    rendered = await charts.render(app, values, CONTEXT, validate=False)

    assert [item["data"] for item in rendered.objects] == [{"level": "high"}, {"replicas": "many", "mode": "fast"}]
    with pytest.raises(ValuesError):
        await charts.render(app, values, CONTEXT)


SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "properties": {
        "mail": {"type": "string", "format": "email"},
        "word": {"type": "string", "pattern": "^x"},
        "either": {"anyOf": [{"type": "integer"}, {"type": "object", "required": ["a/b"]}]},
        "few": {"type": "array", "items": {"type": "object", "properties": {"n": {"maximum": 3}}}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        ({"mail": "S3CRET: \n- at 'x': y"}, [("mail", "value is not valid email")]),
        ({"word": "S3CRET' does not match pattern 'y"}, [("word", "value does not match pattern '^x'")]),
        ({"either": {}}, [("either", "got object, want integer"), ("either", "missing property 'a/b'")]),
        ({"few": [{"n": 1}, {"n": 4}]}, [("few.1.n", "maximum: got 4, want 3")]),
        ({"fewer": 1}, [("(root)", "additional properties 'fewer' not allowed")]),
    ],
)
async def test_each_complaint_of_a_schema_names_its_value(
    charts: Charts, values: dict[str, Any], fields: list[tuple[str, str]]
) -> None:
    app = await loaded(charts, chart_files() | {"values.schema.json": json.dumps(SCHEMA).encode()})
    with pytest.raises(ValuesError) as caught:
        await charts.render(app, values, CONTEXT)

    assert list(caught.value.fields) == fields
    assert "S3CRET" not in caught.value.message


async def test_a_schema_that_is_none_is_told_apart_from_wrong_values(charts: Charts) -> None:
    files = chart_files() | {"values.schema.json": b'{"type": "bogus"}'}
    app = await loaded(charts, files)
    with pytest.raises(ValuesError, match=r"values\.schema\.json is itself no valid schema"):
        await charts.render(app, {}, CONTEXT)


@pytest.mark.parametrize(
    ("template", "message", "line"),
    [
        ("a:\n  {{ fail \"no: not like this\" }}", "app/templates/a.yaml:2: no: not like this", 2),
        ("a: {{ required \"give .Values.x\" .Values.x }}", "app/templates/a.yaml:1: give .Values.x", 1),
        ("\n\na: {{ nosuch }}", 'app/templates/a.yaml:3: function "nosuch" not defined', 3),
        ("a: {{ if }}", "app/templates/a.yaml:1: missing value for if", 1),
        ("a:\n- {{ .Values.a.b.c }}", "nil pointer evaluating interface {}.b", 2),
        ("a: {{ include \"nosuch\" . }}", 'no template "nosuch" associated', 1),
    ],
)  # fmt: skip
async def test_a_template_that_fails_names_file_and_line(
    charts: Charts, template: str, message: str, line: int
) -> None:
    error = await failing(charts, template)

    assert message in error.message
    assert (error.template, error.line, error.chart) == ("app/templates/a.yaml", line, "app")


@pytest.mark.parametrize(
    "expression",
    [
        'mustToDate "2006" .Values.secret',
        "mustRegexMatch .Values.secret `a`",
        "tpl .Values.template .",
        "atoi .Values.secret | add 1 | fromJsonArray | first | nosuchmethod",
        "index .Values .Values.secret 1",
        "include .Values.secret .",
    ],
)
async def test_errors_of_templates_do_not_show_values(charts: Charts, expression: str) -> None:
    values = {"secret": "s3(cret", "template": "{{ s3(cret }}"}

    error = await failing(charts, f"a: {{{{ {expression} }}}}", values)

    assert "s3(cret" not in error.message + error.hint


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("a: b: c", "line 1"),
        ("- a", "renders a list where an object is expected"),
        ("just words", "a single value where a mapping or a list is expected"),
        ("kind: X\nmetadata: {name: a}", "without apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "without kind"),
        ("apiVersion: v1\nkind: X", "X without metadata.name"),
        ("apiVersion: v1\nkind: X\nmetadata: []", "metadata is no mapping"),
        ("apiVersion: v1\nkind: X\nmetadata: {name: a, annotations: [a]}", "annotations is no mapping"),
        ("apiVersion: v1\nkind: List\nitems: [a]", "a List with an item that is no object"),
        ("apiVersion: v1\nkind: [X]\nmetadata: {name: a}", "kind is no string"),
    ],
)
async def test_output_that_is_no_object_names_the_template(charts: Charts, output: str, message: str) -> None:
    error = await failing(charts, output)

    assert message in error.message
    assert error.template == "app/templates/a.yaml"


async def test_numbers_reach_kubernetes_with_all_their_digits(charts: Charts) -> None:
    data = await data_of(charts, config_map(a="9007199254740993", b="-12345678901234567", c="{{ 1 }}"))

    assert data == {"a": 9007199254740993, "b": -12345678901234567, "c": 1}


async def test_values_that_are_no_json_are_refused(charts: Charts) -> None:
    for values in ({"a": object()}, {"a": float("nan")}):
        with pytest.raises(ValuesError):
            await charts.render(await chart(charts), values, CONTEXT)


async def test_values_nested_without_end_are_refused(charts: Charts) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(ValuesError):
        await charts.render(await chart(charts), deep, CONTEXT)
    with pytest.raises(ValuesError):
        native.load_yaml("a: " + "[" * 5_000 + "]" * 5_000)


async def test_a_null_in_the_values_deletes_a_default_of_the_chart(charts: Charts) -> None:
    app = await chart(
        charts, values_yaml="a: {kept: 1, gone: 2}", templates__a_yaml=config_map(a="{{ .Values.a | toJson | quote }}")
    )

    rendered = await charts.render(app, {"a": {"gone": None}}, CONTEXT)

    assert rendered.objects[0]["data"] == {"a": '{"kept":1}'}


async def test_a_template_that_goes_on_for_long_is_given_up(charts: Charts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitsync.charts.workers.RENDER_DEADLINE", 0.5)
    template = "{{ range until 3000000 }}{{ $x := . | toString | sha256sum }}{{ end }}"

    error = await failing(charts, template)

    assert "was not rendered within 0.5 s" in error.message


async def test_the_manifest_of_a_record_is_read_back_into_the_same_objects(charts: Charts) -> None:
    for name in ("plain", "workloads", "hooks"):
        app = await from_files(charts, files_below(DATA / name), name)
        rendered = await charts.render(app, {}, CONTEXT)

        assert tuple(parse_objects(rendered.manifest)) == tuple(rendered.objects)


def test_a_manifest_that_cannot_be_read_names_the_template() -> None:
    with pytest.raises(RenderError, match=r"app/templates/b\.yaml"):
        parse_objects("---\n# Source: app/templates/a.yaml\n\n---\n# Source: app/templates/b.yaml\na: [\n")


async def test_an_archive_inside_charts_is_a_subchart_like_any_other(charts: Charts) -> None:
    inner = packed(chart_files("inner", templates__a_yaml=config_map(name="inner", a="{{ .Values.a }}")))
    files = chart_files(metadata="dependencies: [{name: inner, version: 1.x, repository: ''}]\n")

    app = await from_files(charts, files | {"charts/inner-1.0.0.tgz": inner}, "nested")

    for validate in (True, False):  # as it is, and unpacked to leave schemas out
        rendered = await charts.render(app, {"inner": {"a": "b"}}, CONTEXT, validate=validate)
        assert rendered.objects[0]["data"] == {"a": "b"}


def test_a_records_chart_has_files_with_their_bytes() -> None:
    app = LoadedChart(packed(chart_files() | {"files/x.bin": bytes(range(256))}), "x")

    record = json.loads(json.dumps(app.record()))

    assert record["files"][0]["name"] == "files/x.bin"
    assert helm_python.Chart.load_archive(packed(chart_files())).files == []
    assert record["files"][0]["data"].startswith("AAECAwQFBgc")
    assert record["templates"] is None
