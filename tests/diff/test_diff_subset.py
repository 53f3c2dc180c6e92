"""Desired against live: what a real API server stored counts as equal, and every change of it is found."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import Manifest
from gitsync.diff import format_path, subset_differs
from gitsync.kubeyaml import load, split
from tests.cost import costs_below

FIXTURES = Path(__file__).parent / "fixtures"
DESIRED: list[Manifest] = [load(document.text) for document in split((FIXTURES / "desired.yaml").read_text())]
LIVE: list[Manifest] = json.loads((FIXTURES / "live.json").read_text())
PAIRS = [
    pytest.param(desired, live, id=f"{desired['kind']}-{desired['metadata']['name']}")
    for desired, live in zip(DESIRED, LIVE, strict=True)
]


@pytest.mark.parametrize(("desired", "live"), PAIRS)
def test_what_the_api_server_made_of_a_manifest_is_no_difference(desired: Manifest, live: Manifest) -> None:
    assert subset_differs(desired, live) == []


@pytest.mark.parametrize(("desired", "live"), PAIRS)
def test_a_change_of_any_field_that_is_set_is_found(desired: Manifest, live: Manifest) -> None:
    tried = 0
    for path in leaves(desired):
        changed = copy.deepcopy(desired)
        parent: Any = changed
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = other(parent[path[-1]])
        assert subset_differs(changed, live), f"{format_path(path)} changed to {parent[path[-1]]!r} was not found"
        tried += 1
    assert tried > 0


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of everything in a manifest that says something to the API server."""
    if path[:1] == ("status",) or path in OVERRIDDEN:
        return
    if isinstance(value, dict | list) and value:
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, step))
    elif value not in (None, "", {}, []) and path[-1] not in ("apiVersion", "kind", "namespace", "creationTimestamp"):
        yield path


#: Of a Secret that names a value in data and in stringData, the latter counts.
OVERRIDDEN = {("data", "user")}


def other(value: Any) -> Any:
    """A different value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1234
    return "MQ==" if value.endswith("=\n") or value.endswith("==") else value + "x"


def pod(**container: Any) -> Manifest:
    spec = {"containers": [{"name": "app", "image": "app:1"} | container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": spec}


def widget(**spec: Any) -> Manifest:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": spec}


def differences(desired: Manifest, live: Manifest) -> list[tuple[str, Any, Any]]:
    return [(str(change), change.before, change.after) for change in subset_differs(desired, live)]


def test_a_difference_names_the_field_the_live_value_and_the_desired_one() -> None:
    assert differences(pod(image="app:2"), pod()) == [("spec.containers[0].image", "app:1", "app:2")]


def test_a_container_is_found_by_its_name_wherever_it_stands() -> None:
    live = pod()
    live["spec"]["containers"].insert(0, {"name": "injected-sidecar", "image": "proxy:1"})
    assert differences(pod(), live) == []
    assert differences(pod(image="app:2"), live) == [("spec.containers[0].image", "app:1", "app:2")]


def test_a_container_that_is_missing_is_a_difference() -> None:
    desired = pod()
    desired["spec"]["containers"].append({"name": "metrics", "image": "metrics:1"})
    assert differences(desired, pod()) == [
        ("spec.containers[1]", None, {"name": "metrics", "image": "metrics:1"}),
    ]


def test_ports_are_told_apart_by_number_and_protocol() -> None:
    live = pod(
        ports=[{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP", "name": "dns"}]
    )
    assert differences(pod(ports=[{"containerPort": 53, "name": "dns"}]), live) == []
    assert differences(pod(ports=[{"containerPort": 53, "protocol": "UDP", "name": "dns"}]), live) == [
        ("spec.containers[0].ports[0].name", None, "dns")
    ]


def test_environment_variables_are_told_apart_by_name_and_compared_as_text() -> None:
    live = pod(env=[{"name": "B", "value": "1"}, {"name": "A", "value": "1000m"}])
    assert differences(pod(env=[{"name": "A", "value": "1000m"}, {"name": "B", "value": "1"}]), live) == []
    assert differences(pod(env=[{"name": "A", "value": "1"}]), live) == [
        ("spec.containers[0].env[0].value", "1000m", "1")
    ]


def test_an_environment_variable_given_twice_is_compared_in_order() -> None:
    twice = pod(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}])
    assert differences(twice, twice) == []
    assert differences(twice, pod(env=[{"name": "A", "value": "2"}, {"name": "A", "value": "1"}])) == [
        ("spec.containers[0].env[0].value", "2", "1"),
        ("spec.containers[0].env[1].value", "1", "2"),
    ]


def test_arguments_are_a_list_in_which_every_place_counts() -> None:
    assert differences(pod(args=["a"]), pod(args=["a", "b"])) == [("spec.containers[0].args", ["a", "b"], ["a"])]


def test_init_containers_in_another_order_are_a_difference() -> None:
    one, two = pod(), pod()
    one["spec"]["initContainers"] = [{"name": "first"}, {"name": "second"}]
    two["spec"]["initContainers"] = [{"name": "second"}, {"name": "injected"}, {"name": "first"}]
    assert differences(one, two) == [("spec.initContainers", ["second", "injected", "first"], ["first", "second"])]


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        (0.5, "500m"),
        (2, "2"),
        ("1024Mi", "1Gi"),
        ("1e3", "1k"),
        ("128974848", "123Mi"),
    ],
)
def test_quantities_are_equal_by_what_they_are_worth(wanted: Any, stored: str) -> None:
    assert differences(pod(resources={"limits": {"x": wanted}}), pod(resources={"limits": {"x": stored}})) == []


@pytest.mark.parametrize(("wanted", "stored"), [("1", "1m"), ("1Gi", "1G"), ("1", "one"), (True, "1"), ("", "0")])
def test_quantities_of_another_worth_differ(wanted: Any, stored: str) -> None:
    found = differences(pod(resources={"limits": {"x": wanted}}), pod(resources={"limits": {"x": stored}}))
    assert found == [("spec.containers[0].resources.limits.x", stored, wanted)]


def test_null_asks_for_the_servers_choice() -> None:
    assert differences(pod(imagePullPolicy=None), pod(imagePullPolicy="Always")) == []


def test_null_in_the_values_of_a_helm_release_says_something() -> None:
    desired = widget(values={"a": {"b": None}})
    assert differences(desired, widget(values={"a": {}})) == [("spec.values.a.b", None, None)]
    assert differences(desired, widget(values={"a": {"b": 1}})) == [("spec.values.a.b", 1, None)]
    assert differences(desired, desired) == []


def test_an_empty_volume_is_not_the_same_as_none() -> None:
    desired, live = pod(), pod()
    desired["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    live["spec"]["volumes"] = [{"name": "v", "hostPath": {"path": "/"}}]
    assert differences(desired, live) == [("spec.volumes[0].emptyDir", None, {})]


def test_custom_resources_are_kept_as_they_are_so_empty_values_count() -> None:
    assert differences(widget(selfSigned={}), widget()) == [("spec.selfSigned", None, {})]
    assert differences(widget(enabled=False), widget()) == [("spec.enabled", None, False)]
    assert differences(widget(items=[]), widget()) == []


def test_whether_others_may_add_to_a_list_depends_on_the_kind() -> None:
    def pair(kind: str, version: str = "v1", **fields: Any) -> Manifest:
        return {"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, **fields}

    one, two = [{"name": "a"}], [{"name": "a"}, {"name": "b"}]
    assert not subset_differs(pair("ServiceAccount", secrets=one), pair("ServiceAccount", secrets=two))
    assert subset_differs(pair("ServiceAccount", imagePullSecrets=one), pair("ServiceAccount", imagePullSecrets=two))

    binding, admission = "ValidatingAdmissionPolicyBinding", "admissionregistration.k8s.io/v1"
    deny = pair(binding, admission, spec={"validationActions": ["Deny"]})
    assert not subset_differs(deny, pair(binding, admission, spec={"validationActions": ["Audit", "Deny"]}))
    assert subset_differs(deny, pair(binding, admission, spec={"validationActions": ["Audit"]}))


def test_lists_of_custom_resources_have_no_merge_keys() -> None:
    assert differences(widget(containers=[{"name": "a"}]), widget(containers=[{"name": "b"}, {"name": "a"}])) == [
        ("spec.containers", [{"name": "b"}, {"name": "a"}], [{"name": "a"}])
    ]


def test_true_is_not_one() -> None:
    assert differences(widget(on=True), widget(on=1)) == [("spec.on", 1, True)]
    assert differences(widget(size=1), widget(size=1.0)) == []


def test_labels_of_others_are_no_difference_a_changed_one_is() -> None:
    desired, live = widget(), widget()
    desired["metadata"]["labels"] = {"a": "1", "b": "2"}
    live["metadata"]["labels"] = {"a": "1", "b": "3", "theirs": "x"}
    live["metadata"]["finalizers"] = ["theirs", "ours"]
    desired["metadata"]["finalizers"] = ["ours"]
    assert differences(desired, live) == [("metadata.labels.b", "3", "2")]


def test_a_finalizer_that_is_missing_is_a_difference() -> None:
    desired, live = widget(), widget()
    desired["metadata"]["finalizers"] = ["ours"]
    live["metadata"]["finalizers"] = ["theirs"]
    assert differences(desired, live) == [("metadata.finalizers", ["theirs"], ["ours"])]


def test_what_the_server_sets_is_not_compared() -> None:
    desired = widget() | {"status": {"ready": True}}
    desired["metadata"] |= {"resourceVersion": "1", "uid": "x", "generation": 7, "namespace": "dropped"}
    assert differences(desired, widget()) == []


def test_a_secret_is_compared_by_value_and_its_difference_shows_none() -> None:
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"p": "aHVudGVyMg=="}}
    same = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"p": "hunter2"}}
    assert subset_differs(same, live) == []
    (change,) = subset_differs(same | {"stringData": {"p": "hunter3"}}, live)
    assert str(change) == "data.p"
    assert change.before != change.after
    assert not {"hunter", "aHVudGVy"} & {word for word in ("hunter", "aHVudGVy") if word in repr(change)}


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "1", "1000m", "TCP"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "containers", "env", "ports", "limits", "values", "metadata", "protocol", "finalizers"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)
kinds = st.sampled_from([("v1", "Pod"), ("v1", "Secret"), ("example.com/v1", "Widget")])


@given(kinds, json_values)
def test_every_object_equals_itself(kind: tuple[str, str], spec: Any) -> None:
    manifest = {"apiVersion": kind[0], "kind": kind[1], "metadata": spec, "spec": spec, "data": spec}
    before = copy.deepcopy(manifest)
    assert subset_differs(manifest, copy.deepcopy(manifest)) == []
    assert manifest == before, "the argument is left as it is"


@given(kinds, json_values, json_values)
def test_no_two_objects_break_the_comparison(kind: tuple[str, str], one: Any, other: Any) -> None:
    base = {"apiVersion": kind[0], "kind": kind[1]}
    subset_differs(base | {"spec": one, "data": one}, base | {"spec": other, "data": other})


def test_objects_nested_beyond_all_measure_do_not_break_it() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert len(subset_differs(widget(deep=deep), widget(deep={"a": deep}))) == 1


def test_two_thousand_objects_are_compared_in_well_under_half_a_second() -> None:
    pairs = (list(zip(DESIRED, LIVE, strict=True)) * 100)[:2000]
    costs_below(0.5, lambda: [subset_differs(desired, live) for desired, live in pairs])  # measured: 0.1 s
