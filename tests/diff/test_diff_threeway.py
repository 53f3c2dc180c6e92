"""Three-way merge patches: what is taken away, set and left alone. What the API server makes of them is compared with
Helm's in tests/parity/test_parity_clientside.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.diff import merge_patch

Manifest = dict[str, Any]


def deployment(**pod: Any) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": pod}}}


def config(kind: str = "ConfigMap", **fields: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, **fields}


def custom(**spec: Any) -> Manifest:
    return {"apiVersion": "example.com/v1", "kind": "Thing", "spec": spec}


def pod_patch(earlier: Manifest, desired: Manifest, live: Manifest) -> Manifest:
    """The patch of the pod of a Deployment."""
    kind, patch = merge_patch([deployment(**earlier)], deployment(**desired), deployment(**live))
    assert kind == "strategic"
    found: Manifest = patch["spec"]["template"]["spec"] if patch else {}
    return found


@pytest.mark.parametrize(
    ("earlier", "desired", "live", "patch"),
    [
        pytest.param({"a": "1"}, {"a": "1"}, {"a": "1", "b": "2"}, {}, id="nothing to do"),
        pytest.param({"a": "1"}, {"a": "2"}, {"a": "1"}, {"a": "2"}, id="changed"),
        pytest.param({"a": "1"}, {"a": "1"}, {"a": "hand"}, {"a": "1"}, id="changed by hand, and the chart has it"),
        pytest.param({"a": "1"}, {}, {"a": "1"}, {"a": None}, id="taken away"),
        pytest.param({"a": "1"}, {}, {"a": "hand"}, {"a": None}, id="taken away, though changed by hand"),
        pytest.param({"a": "1"}, {}, {}, {}, id="taken away, gone already"),
        pytest.param({}, {"a": "1"}, {}, {"a": "1"}, id="new"),
        pytest.param({}, {"a": None}, {"a": "hand"}, {"a": None}, id="null takes away"),
        pytest.param({}, {"a": None}, {}, {}, id="null where nothing is"),
        pytest.param({}, {"a": 1}, {"a": True}, {"a": 1}, id="true is not 1"),
        pytest.param({"a": {"b": 1}}, {"a": "1"}, {"a": {"b": 1}}, {"a": "1"}, id="another type"),
    ],
)
def test_fields(earlier: Manifest, desired: Manifest, live: Manifest, patch: Manifest) -> None:
    found = merge_patch([config(data=earlier)], config(data=desired), config(data=live))

    assert found == ("strategic", {"data": patch} if patch else {})


def test_what_the_server_sets_and_a_status_are_not_patched() -> None:
    desired = config(metadata={"name": "a", "creationTimestamp": None}, status={"phase": "x"})
    live = config(metadata={"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z", "uid": "u"}, status={})

    assert merge_patch([desired], desired, live) == ("strategic", {})


def test_what_any_earlier_revision_named_is_taken_away() -> None:
    """One of them may have failed half way, before or after it came to this object."""
    deployed, failed = config(data={"a": "1"}), config(data={"b": "1"})

    _, patch = merge_patch([deployed, failed], config(data={}), config(data={"a": "1", "b": "1", "c": "1"}))

    assert patch == {"data": {"a": None, "b": None}}


def test_containers_are_told_apart_by_name() -> None:
    earlier = {"containers": [{"name": "a", "env": [{"name": "A", "value": "1"}]}, {"name": "old"}]}
    desired = {"containers": [{"name": "a", "image": "x", "env": [{"name": "B", "value": "1"}]}, {"name": "new"}]}
    live = {"containers": [{"name": "sidecar"}, *earlier["containers"]]}

    assert pod_patch(earlier, desired, live) == {
        "containers": [
            {
                "name": "a",
                "image": "x",
                "env": [{"name": "B", "value": "1"}, {"$patch": "delete", "name": "A"}],
                "$setElementOrder/env": [{"name": "B"}],
            },
            {"name": "new"},
            {"$patch": "delete", "name": "old"},
        ],
        "$setElementOrder/containers": [{"name": "a"}, {"name": "new"}],
    }


def test_another_order_alone_is_a_patch() -> None:
    one, other = {"name": "a"}, {"name": "b"}

    assert pod_patch({}, {"containers": [one, other]}, {"containers": [other, one]}) == {
        "$setElementOrder/containers": [one, other]
    }


@pytest.mark.parametrize(
    "ports",
    [
        pytest.param([{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}], id="one port, two protocols"),
        pytest.param([{"name": "x"}], id="no key"),
        pytest.param(["x"], id="no map"),
    ],
)
def test_a_list_whose_elements_cannot_be_told_apart_is_replaced(ports: list[Any]) -> None:
    desired = {"containers": [{"name": "a", "ports": ports}]}
    live = {"containers": [{"name": "a", "ports": [{"containerPort": 1}]}]}

    (container,) = pod_patch({}, desired, live)["containers"]

    assert container == {"name": "a", "ports": [{"$patch": "replace"}, *ports]}
    assert pod_patch({}, desired, desired) == {}


def test_other_lists_are_replaced() -> None:
    old, new = [{"key": "a"}, {"key": "b"}], [{"key": "a"}]

    assert pod_patch({"tolerations": old}, {"tolerations": new}, {"tolerations": old}) == {"tolerations": new}


def test_of_a_service_account_pull_secrets_are_replaced() -> None:
    """Not so those of a pod."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    old, new = [{"name": "a"}, {"name": "b"}], [{"name": "b"}]

    assert merge_patch([], {**account, "imagePullSecrets": new}, {**account, "imagePullSecrets": old})[1] == {
        "imagePullSecrets": new
    }
    assert pod_patch({"imagePullSecrets": old}, {"imagePullSecrets": new}, {"imagePullSecrets": old}) == {
        "imagePullSecrets": [{"$patch": "delete", "name": "a"}],
        "$setElementOrder/imagePullSecrets": new,
    }


def test_of_a_union_only_what_is_named_stays() -> None:
    desired = {"volumes": [{"name": "v", "configMap": {"name": "x"}}]}
    live = {"volumes": [{"name": "v", "emptyDir": {}}]}

    assert pod_patch(live, desired, live) == {
        "volumes": [{"name": "v", "configMap": {"name": "x"}, "emptyDir": None, "$retainKeys": ["configMap", "name"]}],
        "$setElementOrder/volumes": [{"name": "v"}],
    }


def test_finalizers_of_others_stay() -> None:
    earlier, desired, live = (config(metadata={"finalizers": list(items)}) for items in ("ab", "bc", "abx"))

    assert merge_patch([earlier], desired, live)[1] == {
        "metadata": {
            "finalizers": ["c"],
            "$deleteFromPrimitiveList/finalizers": ["a"],
            "$setElementOrder/finalizers": ["b", "c"],
        }
    }


def test_a_key_of_string_data_is_taken_away_from_data() -> None:
    earlier = config("Secret", stringData={"a": "x", "b": "y"})
    live = config("Secret", data={"a": "eA==", "b": "eQ==", "c": "eg=="})

    assert merge_patch([earlier], config("Secret", stringData={"b": "y"}), live)[1] == {"data": {"a": None}}


def test_a_custom_resource_is_not_looked_at() -> None:
    """As by Helm: what somebody changed stays, until the manifest changes it."""
    earlier, live = custom(size=1, colour="red", gone=1), custom(size=5, colour="blue", gone=1)

    assert merge_patch([earlier], custom(size=1, colour="green"), live) == (
        "merge",
        {"spec": {"colour": "green", "gone": None}},
    )


def test_of_a_custom_resource_every_earlier_revision_counts() -> None:
    """The second one failed before it came to this object."""
    deployed, failed = custom(size=1, old=1), custom(size=2, colour="red")

    assert merge_patch([deployed, failed], custom(size=2), deployed)[1] == {
        "spec": {"size": 2, "old": None, "colour": None}
    }


def test_a_custom_resource_that_is_new_to_the_release_is_brought_to_its_manifest() -> None:
    assert merge_patch([], custom(size=1, items=[{"name": "a"}]), custom(size=2, other=3)) == (
        "merge",
        {"spec": {"size": 1, "items": [{"name": "a"}]}},
    )


def test_a_definition_s_lists_are_replaced() -> None:
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    old, new = ({**crd, "spec": {"default": {"env": [{"name": name}]}}} for name in "ab")

    assert merge_patch([old], new, old) == ("merge", {"spec": {"default": {"env": [{"name": "b"}]}}})


def nested(levels: int) -> Manifest:
    found: Manifest = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def test_deep_nesting_is_replaced_rather_than_walked() -> None:
    kind, patch = merge_patch([], custom(**nested(5000)), custom(**nested(5001)))

    assert kind == "merge"
    assert patch


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x"]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("abcd"), below, max_size=3),
    max_leaves=12,
)
MAPS = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, as it is written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def told(value: Any) -> Any:
    """Without what a merge patch cannot say: nulls in maps."""
    return (
        {name: told(below) for name, below in value.items() if below is not None} if isinstance(value, dict) else value
    )


@given(st.lists(MAPS, min_size=1, max_size=3), MAPS)
def test_from_any_earlier_revision_the_patch_leads_to_the_desired_one(
    earlier: list[Manifest], desired: Manifest
) -> None:
    _, patch = merge_patch([custom(**item) for item in earlier], custom(**desired), custom())

    for item in earlier:
        assert merged(told(custom(**item)), patch) == told(custom(**desired))


@given(MAPS, MAPS, MAPS)
def test_what_no_manifest_names_stays(earlier: Manifest, desired: Manifest, live: Manifest) -> None:
    _, patch = merge_patch([config(data=earlier)], config(data=desired), config(data=live))

    after = merged(config(data=live), patch)["data"]
    for name in set(live) - set(earlier) - set(desired):
        assert after[name] == live[name]
    for name in set(earlier) - set(desired):
        assert name not in after
