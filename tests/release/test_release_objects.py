"""A release's objects as data: ownership, keep policies, what an upgrade does, and the runs in which it is applied."""

from __future__ import annotations

import copy

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.apply.order import waves
from gitsync.apply.ownership import MANAGED_BY, belongs_to, kept, owned
from gitsync.release.delta import delta


def config_map(name: str, policy: str | None = None, kind: str = "ConfigMap", **data: str) -> Manifest:
    metadata: Manifest = {"name": name, "namespace": "default"}
    if policy is not None:
        metadata["annotations"] = {"helm.sh/resource-policy": policy}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


def key(name: str, kind: str = "ConfigMap") -> ObjectKey:
    return ObjectKey("", kind, "default", name)


def test_ownership_is_added_to_what_the_chart_says() -> None:
    manifest = config_map("a", "keep")
    manifest["metadata"]["labels"] = {"app": "x", MANAGED_BY: "somebody else"}

    metadata = owned(manifest, "demo", "default")["metadata"]

    assert metadata["labels"] == {"app": "x", MANAGED_BY: "Helm"}
    assert metadata["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "meta.helm.sh/release-name": "demo",
        "meta.helm.sh/release-namespace": "default",
    }


@pytest.mark.parametrize("metadata", [{"name": "a"}, {"name": "a", "labels": None, "annotations": None}])
def test_ownership_needs_no_labels_there_and_leaves_its_input_alone(metadata: Manifest) -> None:
    manifest: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    before = copy.deepcopy(manifest)

    assert owned(manifest, "demo", "default")["metadata"]["labels"] == {MANAGED_BY: "Helm"}
    assert manifest == before


def test_what_belongs_to_a_release_says_so_with_name_and_namespace() -> None:
    ours = owned(config_map("a"), "demo", "default")

    assert belongs_to(ours, "demo", "default")
    assert not belongs_to(ours, "demo", "other")
    assert not belongs_to(ours, "other", "default")
    assert not belongs_to(config_map("a"), "demo", "default")
    assert not belongs_to({"metadata": {"annotations": None}}, "demo", "default")


@pytest.mark.parametrize(
    ("policy", "stays"), [("keep", True), (" Keep ", True), (None, False), ("", False), ("delete", False)]
)
def test_a_keep_policy_is_read_as_helm_reads_it(policy: str | None, stays: bool) -> None:
    assert kept(config_map("a", policy)) is stays


def test_a_delta_names_what_comes_changes_goes_and_is_kept() -> None:
    before = [config_map("stays"), config_map("changes", text="1"), config_map("goes"), config_map("kept", "keep")]
    after = [config_map("comes"), config_map("stays"), config_map("changes", text="2")]

    found = delta(before, after)

    assert found.created == (key("comes"),)
    assert found.having_created({key("comes")}) == found
    taken = found.having_created(set())
    assert (taken.created, taken.taken_over) == ((), (key("comes"),))
    assert found.changed == (key("changes"),)
    assert found.removed == (config_map("goes"),)
    assert found.kept == (key("kept"),)


def test_an_object_of_another_kind_version_is_the_same_object() -> None:
    before = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"}}
    after = {**before, "apiVersion": "autoscaling/v2"}

    found = delta([before], [after])

    assert found.removed == ()
    assert len(found.changed) == 1


def test_objects_are_applied_in_waves_that_do_not_need_each_other() -> None:
    kinds = [
        *("Namespace", "ServiceAccount", "Secret", "ConfigMap", "Service", "Deployment", "HorizontalPodAutoscaler"),
        *("StatefulSet", "Ingress", "Certificate", "Widget"),
    ]
    order = [config_map(kind.lower(), kind=kind) for kind in kinds]

    assert [[item["kind"] for item in wave] for wave in waves(order)] == [
        ["Namespace"],
        ["ServiceAccount"],
        ["Secret", "ConfigMap", "Service", "Deployment", "HorizontalPodAutoscaler", "StatefulSet"],
        ["Ingress"],
        ["Certificate"],
        ["Widget"],
    ]
    assert waves([]) == []
