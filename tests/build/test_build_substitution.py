"""Variables in built objects: what they become, where they stay, and what is said when they cannot be replaced."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.build import BuildSpec
from gitsync.manifests import Desired
from tests.build.trees import built

SECRET = "hunter2-is-secret"


def config(**data: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n{lines}"


async def substituted(text: str, variables: dict[str, str] | None, **spec: Any) -> Desired:
    return await built({"a.yaml": text}, BuildSpec(variables=variables, **spec))


def data(desired: Desired) -> Any:
    assert desired.errors == ()
    (item,) = desired.objects.values()
    return item.manifest["data"]


async def test_a_value_becomes_what_yaml_makes_of_it() -> None:
    text = config(
        number="${n}", quoted='"${n}"', kept="${q}${n}${q}", boolean="${b}", none="${e}", text="x${n}", octal="${o}"
    )
    variables = {"n": "5", "b": "true", "e": "", "q": '"', "o": "0644"}
    assert data(await substituted(text, variables)) == {
        "number": 5,
        "quoted": 5,
        "kept": "5",
        "boolean": True,
        "none": None,
        "text": "x5",
        "octal": 420,
    }


async def test_a_value_may_become_a_list_and_loses_its_line_feeds() -> None:
    text = config(a="${l}", b="${m}")
    assert data(await substituted(text, {"l": "[1, 2]", "m": "x\ny\n"})) == {"a": [1, 2], "b": "xy"}


@pytest.mark.parametrize("field", ["labels", "annotations"])
async def test_an_object_that_says_so_stays_as_it_is(field: str) -> None:
    disabled = f"  {field}: {{kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata:"
    text = config(a="${v}").replace("data:", disabled).replace(f"meta{disabled}", "metadata:")
    assert data(await substituted(text, {"v": "1"})) == {"a": "${v}"}
    assert data(await substituted(text.replace("disabled", "enabled"), {"v": "1"})) == {"a": 1}


async def test_without_variables_nothing_is_replaced_unless_always() -> None:
    text = config(a="${v:=1}", b="$${v}")
    nothing: tuple[dict[str, str] | None, ...] = (None, {})
    for variables in nothing:
        assert data(await substituted(text, variables)) == {"a": "${v:=1}", "b": "$${v}"}
    assert data(await substituted(text, {}, always_substitute=True)) == {"a": 1, "b": "${v}"}
    assert data(await substituted(text, None, always_substitute=True)) == {"a": "${v:=1}", "b": "$${v}"}


async def test_a_variable_without_a_value_is_named_with_file_and_line() -> None:
    files = {
        "a/x.yaml": "# one\n---\n" + config(a="b", c='"${nosuch} ${v}"'),
        "a/y.yaml": config(a="${v}").replace("a\n", "y\n", 1),
    }
    desired = await built(files, BuildSpec(path="a", variables={"v": SECRET}))
    assert desired.objects == {}
    (error,) = desired.errors
    assert str(error) == (
        "a/x.yaml:9: the variable nosuch is not set, and has no default "
        "(set it in postBuild, or give it a default: ${name:=default})"
    )


async def test_without_strictness_it_is_empty() -> None:
    assert data(await substituted(config(a="x${nosuch}y"), {"v": "1"}, strict_substitution=False)) == {"a": "xy"}


async def test_one_from_a_patch_is_named_with_the_object() -> None:
    patch = {"patch": "- {op: add, path: /data/p, value: '${nosuch}'}", "target": {"kind": "ConfigMap"}}
    desired = await substituted(config(a="b"), {"v": "1"}, patches=(patch,))
    (error,) = desired.errors
    assert str(error).startswith("a.yaml:1:1: ConfigMap a: the variable nosuch is not set")


@pytest.mark.parametrize("expression", ["${v", "${v?x}", "${v:?", "${}", "${v//x", "${1-2}"])
async def test_an_expression_that_is_none_is_named_with_its_line(expression: str) -> None:
    desired = await substituted(config(a="b", c=f"'{expression}'"), {"v": SECRET})
    (error,) = desired.errors
    assert error.origin.path == "a.yaml"
    assert "a variable cannot be replaced" in error.message
    assert SECRET not in str(error)


async def test_a_name_that_flux_does_not_take_is_named() -> None:
    desired = await substituted(config(a="b"), {"values.yaml": SECRET, "ok": "1"})
    (error,) = desired.errors
    assert error.message == "'values.yaml' cannot be the name of a variable"
    assert desired.objects == {}


@pytest.mark.parametrize(
    "value",
    [f"{SECRET}: [", f"'{SECRET}", f"&{SECRET} *{SECRET}", f"{{{SECRET}: 1, {SECRET}: 2", f"!!int {SECRET}", SECRET],
)
async def test_no_error_holds_a_value(value: str) -> None:
    release = """\
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata:
          name: app
          labels: {}
        spec:
          interval: ${v}
          chart: {spec: {chart: app, sourceRef: {kind: HelmRepository, name: charts}}}
        """
    desired = await substituted(release, {"v": value})
    assert desired.errors
    assert SECRET not in repr([str(error) for error in desired.errors])
    assert {error.origin.path for error in desired.errors} == {"a.yaml"}


async def test_a_character_that_is_cut_in_two_is_an_error() -> None:
    desired = await substituted(config(a="${v:0:1}"), {"v": "é"})
    (error,) = desired.errors
    assert str(error).startswith("a.yaml:1:1: ConfigMap a: what comes out of the substitution is no UTF-8")


async def test_two_objects_that_become_one_are_an_error_at_both() -> None:
    text = config(a="1").replace("name: a", "name: ${v}") + "---\n" + config(a="2").replace("name: a", "name: x")
    desired = await substituted(text, {"v": "x"})
    assert [str(error.origin) for error in desired.errors] == ["a.yaml:1:1", "a.yaml:8:1"]


async def test_what_stays_of_an_escaped_variable_is_meant_so() -> None:
    text = config(a="b").replace("name: a", "name: a\n  labels: {x: '$${v}'}")
    desired = await substituted(text, {"v": "1"})
    assert desired.errors == ()
    desired = await substituted(text.replace("$$", "$"), None)
    (error,) = desired.errors
    assert "a variable of Flux's postBuild substitution, which nothing here replaces" in error.message


async def test_the_definitions_of_flux_itself_are_left_as_they_are() -> None:
    """Their texts tell of variables. Today's say that they are to be left, those of older releases do not."""
    definition = (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n"
        "  name: kustomizations.kustomize.toolkit.fluxcd.io\n  labels: {app.kubernetes.io/part-of: flux}\n"
        "spec: {description: 'e.g. ${var:=default}, ${var:position} and ${other}'}\n"
    )
    desired = await substituted(f"{definition}---\n{config(a='${v}')}", {"v": "1"})
    assert desired.errors == ()
    found = {item.key.kind: item.manifest for item in desired.objects.values()}
    assert found["CustomResourceDefinition"]["spec"]["description"].endswith("${other}")
    assert found["ConfigMap"]["data"] == {"a": 1}
    desired = await substituted(definition.replace("part-of: flux", "part-of: web"), {"v": "1"})
    assert "the variable" in str(desired.errors[0])
