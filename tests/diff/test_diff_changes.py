"""One state of an object against another, and what is left out of the comparison."""

from __future__ import annotations

import copy
from typing import Any

from gitsync.api.identity import Manifest
from gitsync.api.names import (
    KUSTOMIZE_NAME_LABEL,
    KUSTOMIZE_NAMESPACE_LABEL,
    OWNER_ANNOTATION,
    SYNC_LABEL,
    SYNC_MARKS,
    SYNC_NAMESPACE_LABEL,
)
from gitsync.diff import Change, changes, format_path, normalised, summary


def deployment(**spec: Any) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def release(values: Any) -> Manifest:
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "redis"},
        "spec": {"values": values},
    }


def told(before: Manifest | None, after: Manifest | None) -> list[tuple[str, Any, Any]]:
    return [(str(change), change.before, change.after) for change in changes(before, after)]


def test_creating_and_deleting_are_changes_of_the_whole_object() -> None:
    manifest = deployment(replicas=1)
    assert changes(None, manifest) == [Change((), None, manifest)]
    assert changes(manifest, None) == [Change((), manifest, None)]
    assert changes(None, None) == []


def test_fields_changed_added_and_removed_are_told_each() -> None:
    assert told(deployment(replicas=1, paused=True), deployment(replicas=2, minReadySeconds=5)) == [
        ("spec.replicas", 1, 2),
        ("spec.minReadySeconds", None, 5),
        ("spec.paused", True, None),
    ]


def test_null_and_not_there_are_the_same() -> None:
    assert told(deployment(replicas=None), deployment(paused=None)) == []


def test_adding_a_container_in_front_is_one_change() -> None:
    one, two = {"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}
    before = deployment(template={"spec": {"containers": [one]}})
    after = deployment(template={"spec": {"containers": [two, one]}})
    assert told(before, after) == [("spec.template.spec.containers[0]", None, two)]
    assert told(after, before) == [("spec.template.spec.containers[0]", two, None)]


def test_inserting_an_argument_is_one_change() -> None:
    before = deployment(args=["a", "b", "c"])
    assert told(before, deployment(args=["a", "x", "b", "c"])) == [("spec.args[1]", None, "x")]
    assert told(before, deployment(args=["a", "c"])) == [("spec.args[1]", "b", None)]


def test_a_quantity_written_differently_is_no_change() -> None:
    limits = {"resources": {"limits": {"cpu": "1000m"}}}
    assert told(deployment(**limits), deployment(resources={"limits": {"cpu": 1}})) == []


def test_values_of_a_helm_release_are_compared_exactly() -> None:
    assert told(release({"on": 1, "n": [1, True]}), release({"on": True, "n": [True, 1, True]})) == [
        ("spec.values.on", 1, True),
        ("spec.values.n[0]", None, True),
    ]
    assert told(release({"a": [1, 2]}), release({"a": [0, True, 2]})) == [
        ("spec.values.a[0]", None, 0),
        ("spec.values.a[1]", 1, True),
    ]
    assert told(release({"a": {}}), release({"a": {"b": None}})) == [("spec.values.a.b", None, None)]
    assert told(release({"a": {"b": None}}), release({"a": {}})) == [("spec.values.a.b", None, None)]


def test_the_same_secret_written_as_string_data_is_no_change() -> None:
    secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    assert told(secret | {"data": {"a": "YQ==\n"}}, secret | {"stringData": {"a": "a"}}) == []


def test_no_change_of_a_secret_shows_a_value() -> None:
    secret: Manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    before = secret | {"data": {"gone": "aHVudGVyMQ==", "kept": "aHVudGVyMg==", "odd": ["hunter5"]}}
    after = secret | {"stringData": {"kept": "hunter3", "new": "hunter4"}, "data": "hunter6"}
    after["metadata"] = {"name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "hunter7"}}
    for found in (changes(before, after), changes(None, after), changes(before, None)):
        assert found
        assert "hunter" not in repr(found)
        assert "aHVudGVy" not in repr(found)


def test_the_argument_is_left_as_it_is() -> None:
    before = {"kind": "Secret", "metadata": {"name": "s", "uid": "u"}, "stringData": {"a": "b"}, "status": {}}
    kept = copy.deepcopy(before)
    changes(before, before | {"stringData": {"a": "c"}})
    normalised(before, bookkeeping=True)
    assert before == kept


def test_what_the_server_sets_is_left_out() -> None:
    live = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "a",
            "uid": "u",
            "resourceVersion": "7",
            "generation": 2,
            "creationTimestamp": "2026-07-01T10:00:00Z",
            "managedFields": [{}],
            "selfLink": "/a",
            "labels": {"a": "b"},
        },
        "data": {"k": "v"},
        "status": {"x": 1},
    }
    assert normalised(live) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"a": "b"}},
        "data": {"k": "v"},
    }


def test_bookkeeping_is_left_out_only_when_asked() -> None:
    annotations = {"gitsync.dev/commit": "3f2a91c", "gitsync.dev/prune": "disabled"}
    live = {"kind": "ConfigMap", "metadata": {"name": "a", "annotations": annotations}}
    assert normalised(live)["metadata"]["annotations"] == annotations
    assert normalised(live, bookkeeping=True)["metadata"]["annotations"] == {"gitsync.dev/prune": "disabled"}
    only = {"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"gitsync.dev/commit": "3f2a91c"}}}
    assert normalised(only, bookkeeping=True) == {"kind": "ConfigMap", "metadata": {"name": "a"}}


def test_paths_read_as_people_write_them() -> None:
    assert format_path(("spec", "containers", 0, "image")) == "spec.containers[0].image"
    assert format_path(("metadata", "labels", "app.kubernetes.io/name")) == 'metadata.labels["app.kubernetes.io/name"]'


def test_a_summary_names_fields_and_no_values() -> None:
    found = changes(
        release({"password": "a", "b": 1, "c": 1, "d": 1}), release({"password": "b", "b": 2, "c": 2, "d": 2})
    )
    assert summary(found) == "spec.values.password, spec.values.b, spec.values.c and 1 more"
    assert summary(changes(None, release({}))) == "the whole object"


def test_what_a_sync_notes_on_an_object_is_no_difference() -> None:
    marks = {OWNER_ANNOTATION, SYNC_LABEL, SYNC_NAMESPACE_LABEL, KUSTOMIZE_NAME_LABEL, KUSTOMIZE_NAMESPACE_LABEL}
    annotations = dict.fromkeys(SYNC_MARKS - marks, "noted")
    manifest = {"kind": "HelmRelease", "metadata": {"name": "a", "annotations": {**annotations, "mine": "kept"}}}
    assert normalised(manifest, bookkeeping=True)["metadata"]["annotations"] == {"mine": "kept"}
