"""Whose fields are taken over, by what is in managedFields: pure decisions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitsync.api.identity import Manifest
from gitsync.apply.applier import storable
from gitsync.apply.fieldmanagers import BY_HAND, OTHER_TOOLS, OWNERS, Writer, merged, pruned, taken_over
from gitsync.apply.fieldsv1 import Fields

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
A: Fields = {"f:data": {"f:a": {}}}
B: Fields = {"f:data": {".": {}, "f:b": {}}}
BOTH: Fields = {"f:data": {".": {}, "f:a": {}, "f:b": {}}}
COPY: Fields = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}}


def entry(manager: str, operation: str, fields: Fields, **more: str) -> Manifest:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def live(*entries: Manifest, **annotations: str) -> Manifest:
    metadata: Manifest = {"name": "x", "managedFields": list(entries)}
    return {"metadata": metadata | ({"annotations": annotations} if annotations else {})}


MANIFEST: Manifest = {"metadata": {"name": "x"}}


def taken(*entries: Manifest, manager: str = "gitsync", writers: frozenset[Writer] = OWNERS) -> list[Manifest] | None:
    """What managedFields become; None when they stay."""
    found = taken_over(live(*entries), MANIFEST, manager, writers)
    return None if found is None else found.metadata["managedFields"]


@pytest.mark.parametrize(
    "who",
    [
        ("argocd-application-controller", "Update"),
        ("argocd-controller", "Apply"),
        ("argocd-controller", "Update"),
        ("gitsync-cli", "Apply"),
        ("helm", "Apply"),
        ("helm", "Update"),
        ("helm-controller", "Apply"),
        ("helm-controller", "Update"),
        ("kubectl", "Apply"),
        ("kubectl-client-side-apply", "Update"),
        ("kubectl-create", "Update"),
        ("kubectl-edit", "Update"),
        ("kubectl-last-applied", "Apply"),
        ("kubectl-replace", "Update"),
        ("kustomize-controller", "Apply"),
    ],
)
def test_all_is_taken_of_who_says_what_an_object_is(who: tuple[str, str]) -> None:
    assert taken(entry(*who, A)) == [entry("gitsync", "Apply", A)]
    assert taken(entry("gitsync", "Apply", B), entry(*who, A)) == [entry("gitsync", "Apply", BOTH)]
    assert taken(entry(*who, A, subresource="scale")) is None


@pytest.mark.parametrize(
    "who",
    [
        ("kube-controller-manager", "Update"),
        ("kustomize-controller", "Update"),  # finalizers
        ("autoscaler", "Apply"),
        ("sidecar-injector", "Update"),
        ("hand", "Update"),
        ("flux-client-side-apply", "Update"),  # how Flux's documentation has people keep theirs
    ],
)
def test_nothing_is_taken_of_who_shares(who: tuple[str, str]) -> None:
    assert taken(entry(*who, A)) is None
    assert taken(entry("gitsync", "Apply", A), entry(*who, A)) is None


@pytest.mark.parametrize(
    "manager", ["kubectl", "kubectl-annotate", "kubectl-label", "kubectl-patch", "kubectl-set", "flux", "gitsync-cli"]
)
def test_what_was_set_by_hand_is_taken_as_far_as_the_manifest_has_it(manager: str) -> None:
    ours, theirs = entry("gitsync", "Apply", A), entry(manager, "Update", BOTH)

    assert taken(theirs) is None
    assert taken(ours, theirs) == [entry(manager, "Update", B), ours]
    assert taken(ours, entry(manager, "Update", A)) == [ours]
    assert taken(ours, entry(manager, "Update", B)) is None


def test_updates_of_one_s_own_become_applied() -> None:
    assert taken(entry("helm", "Update", A), manager="helm") == [entry("helm", "Apply", A)]
    assert taken(entry("hand", "Update", A), entry("helm", "Apply", A), entry("helm", "Update", B), manager="helm") == [
        entry("hand", "Update", A),
        entry("helm", "Apply", BOTH),
    ]
    assert taken(entry("helm", "Apply", A), manager="helm") is None


def test_a_chart_and_git_take_from_each_other_only_where_objects_may_move() -> None:
    assert taken(entry("gitsync", "Apply", A), manager="helm") == [entry("helm", "Apply", A)]
    assert taken(entry("gitsync", "Update", A), manager="helm") is None, "finalizers of HelmReleases"
    assert taken(entry("gitsync", "Apply", A), manager="helm", writers=OTHER_TOOLS) is None


def test_the_newest_entry_is_what_becomes_the_new_one() -> None:
    old = entry("kubectl-create", "Update", A, time="2026-01-01T00:00:00Z", apiVersion="v1")
    new = entry("kubectl-edit", "Update", B, time="2026-02-01T00:00:00Z", apiVersion="v2")

    assert taken(new, old) == [entry("gitsync", "Apply", BOTH, time="2026-02-01T00:00:00Z", apiVersion="v2")], (
        "fields of other versions are not left to nobody"
    )


def test_who_wrote_kubectl_s_annotation_applied_client_side_under_whatever_name() -> None:
    fields = {**A, **COPY}
    now = live(entry("deploy.sh", "Update", fields), **{LAST_APPLIED: "{}"})

    found = taken_over(now, MANIFEST, "gitsync", OTHER_TOOLS)

    assert found is not None
    assert found.managers == ("deploy.sh",)
    assert found.metadata == {
        "managedFields": [entry("gitsync", "Apply", fields)],
        "annotations": {LAST_APPLIED: None},
    }


def test_kubectl_s_annotation_goes_alone() -> None:
    now = live(entry("gitsync", "Apply", A), **{LAST_APPLIED: "{}"})
    own = {"metadata": {"annotations": {LAST_APPLIED: "{}"}}}

    found = taken_over(now, MANIFEST, "gitsync", OWNERS)

    assert found is not None
    assert (found.metadata, found.managers) == ({"annotations": {LAST_APPLIED: None}}, ())
    assert taken_over(now, own, "gitsync", OWNERS) is None, "the manifest itself has it"


def test_how_controllers_work_with_an_object_stays_theirs() -> None:
    control: Fields = {"f:metadata": {"f:finalizers": {'v:"a"': {}}, "f:ownerReferences": {}}, "f:status": {"f:x": {}}}

    assert taken(entry("kubectl-create", "Update", control | A)) == [
        entry("kubectl-create", "Update", control),
        entry("gitsync", "Apply", A),
    ]
    assert taken(entry("gitsync", "Apply", A), entry("kubectl-create", "Update", control)) is None
    theirs: Fields = {"f:metadata": {"f:finalizers": {'v:"a"': {}}}}
    assert taken(entry("gitsync", "Apply", theirs), entry("kubectl-create", "Update", control)) == [
        entry("kubectl-create", "Update", {"f:metadata": {"f:ownerReferences": {}}, "f:status": {"f:x": {}}}),
        entry("gitsync", "Apply", theirs),
    ]


BEFORE: Fields = {"f:data": {"f:a": {}, "f:b": {}}, "f:spec": {"f:volumeName": {}}}


@pytest.mark.parametrize("copy", ["null", "no JSON", "[" * 100_000, '"text"'])
def test_of_unknown_writers_is_taken_what_the_manifest_has(copy: str) -> None:
    unknown = entry("before-first-apply", "Update", BEFORE)
    now = live(entry("gitsync", "Apply", A), unknown, **{LAST_APPLIED: copy})

    found = taken_over(now, MANIFEST, "gitsync", OWNERS)

    assert found is not None
    left: Fields = {"f:data": {"f:b": {}}, "f:spec": {"f:volumeName": {}}}
    assert found.metadata["managedFields"] == [
        entry("before-first-apply", "Update", left),
        entry("gitsync", "Apply", A),
    ]


def test_of_unknown_writers_is_taken_what_kubectl_applied() -> None:
    unknown = entry("before-first-apply", "Update", BEFORE)
    now = live(entry("gitsync", "Apply", A), unknown, **{LAST_APPLIED: json.dumps({"data": {"b": "1"}})})

    found = taken_over(now, MANIFEST, "gitsync", OWNERS)

    assert found is not None
    assert found.metadata["managedFields"] == [
        entry("before-first-apply", "Update", {"f:spec": {"f:volumeName": {}}}),
        entry("gitsync", "Apply", {"f:data": {"f:a": {}, "f:b": {}}}),
    ]


@pytest.mark.parametrize("on", ["object", "manifest"])
def test_flux_s_ssa_merge_leaves_tools_what_is_theirs(on: str) -> None:
    merge = {"kustomize.toolkit.fluxcd.io/ssa": "Merge"}
    entries = (
        entry("gitsync", "Apply", A),
        entry("kubectl-edit", "Update", B),
        entry("kubectl-label", "Update", A),
        entry("before-first-apply", "Update", A),
        entry("helm", "Apply", B),
    )
    now = live(*entries, **{LAST_APPLIED: "{}"}, **(merge if on == "object" else {}))
    manifest: Manifest = {"metadata": {"annotations": merge if on == "manifest" else {}}}

    found = taken_over(now, manifest, "gitsync", OWNERS)

    assert found is not None
    assert found.metadata == {"managedFields": [*entries[1:4], entry("gitsync", "Apply", BOTH)]}, (
        "marks move all the same"
    )


def test_once_taken_there_is_nothing_more_to_take() -> None:
    now = live(
        entry("kubectl-client-side-apply", "Update", {**BOTH, "f:metadata": {"f:finalizers": {'v:"a"': {}}}}),
        entry("kubectl-label", "Update", {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}}),
        entry("gitsync", "Apply", {"f:metadata": {"f:labels": {"f:x": {}}}}),
    )
    found = taken_over(now, MANIFEST, "gitsync", OWNERS)
    assert found is not None

    assert taken_over(live(*found.metadata["managedFields"]), MANIFEST, "gitsync", OWNERS) is None


def test_an_object_without_managed_fields() -> None:
    assert taken_over({"metadata": {}}, MANIFEST, "gitsync", OWNERS) is None


def test_what_is_left_once_fields_are_taken() -> None:
    applied = entry("gitsync", "Apply", A)
    now = live(applied, entry("kubectl", "Apply", BOTH), entry("hand", "Update", {"f:data": {"f:c": {}}}))
    now["data"] = {"a": "1", "b": "1", "c": "1"}

    assert pruned(now, MANIFEST, "gitsync", OWNERS)["data"] == {"a": "1", "c": "1"}
    alone = live(applied, entry("hand", "Update", B))
    assert pruned(alone, MANIFEST, "gitsync", OWNERS) is alone


def test_what_a_manifest_makes_of_an_object_that_refuses_it_otherwise() -> None:
    held: Fields = {"f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}}}
    injected: Fields = {"f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}
    now = live(entry("kubectl", "Apply", held), entry("injector", "Update", injected))
    now["env"] = [{"name": "A", "value": "x"}, {"name": "B", "value": "y"}]
    manifest = MANIFEST | {"env": [{"name": "A", "valueFrom": {"fieldRef": "z"}}]}

    after = merged(now, manifest, "gitsync", OWNERS)

    assert after is not None
    assert after["env"] == [{"name": "A", "valueFrom": {"fieldRef": "z"}}, {"name": "B", "value": "y"}]
    assert merged(live(entry("injector", "Update", injected)), manifest, "gitsync", OWNERS) is None


def test_fields_of_a_secret_are_taken_where_the_api_server_keeps_them() -> None:
    strings: Fields = {"f:stringData": {"f:a": {}}}
    now = live(entry("kubectl", "Apply", strings | {"f:type": {}}), entry("gitsync", "Apply", {"f:data": {"f:b": {}}}))

    found = taken_over(now | {"apiVersion": "v1", "kind": "Secret"}, MANIFEST, "gitsync", OWNERS)
    custom = taken_over(now | {"apiVersion": "example.com/v1", "kind": "Secret"}, MANIFEST, "gitsync", OWNERS)

    assert found is not None
    assert found.metadata["managedFields"] == [
        entry("gitsync", "Apply", {"f:data": {"f:a": {}, "f:b": {}}, "f:type": {}})
    ]
    assert custom is not None
    assert custom.fields == strings | {"f:type": {}}


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"stringData": {"a": "1"}, "data": {"a": "x", "b": "Mg=="}}, {"data": {"a": "MQ==", "b": "Mg=="}}),
        ({"data": {"b": "Mg=="}}, {"data": {"b": "Mg=="}}),
        ({"stringData": {"a": 1}}, {"stringData": {"a": 1}}),
        ({"stringData": "text"}, {"stringData": "text"}),
        (
            {"stringData": {"a": "1"}, "apiVersion": "example.com/v1"},
            {"stringData": {"a": "1"}, "apiVersion": "example.com/v1"},
        ),
    ],
)
def test_a_secret_is_applied_as_it_is_kept(manifest: Manifest, expected: Manifest) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret"}

    assert storable(secret | manifest) == secret | expected


def test_the_documentation_names_them_all() -> None:
    page = (Path(__file__).parents[2] / "docs" / "concepts.md").read_text()
    section = page[page.index("\n## Fields\n") : page.index("\n## Bad files\n")]

    named = {name for row in section.splitlines() if row.startswith("|") for name in row.split("|")[1].split("`")[1::2]}
    assert named == {writer.manager for writer in OWNERS} | BY_HAND | {
        "before-first-apply",
        "last-applied-configuration",
    }
