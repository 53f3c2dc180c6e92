"""How a revision is applied, and what is never replaced: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.parts.actions import ServerSideApply
from gitsync.apply.recreate import fields_of, why_not_replaced
from gitsync.errors import Invalid
from gitsync.release.action.apply_revision import manner_of
from gitsync.release.revision import ActionOptions, RevisionContent, apply_method
from gitsync.release.storage.record import ApplyMethod, Digests, Record


def record(method: ApplyMethod, status: Any = "deployed") -> Record:
    return Record("demo", "default", 1, status, {}, {}, "", apply_method=method)


def content(of_revision: int = 0, method: str = "") -> RevisionContent:
    return RevisionContent({}, {}, "", (), Digests("", ""), of_revision=of_revision, apply_method=method)


@pytest.mark.parametrize(
    ("wanted", "before", "of_revision", "method", "expected"),
    [
        ("enabled", ["csa"], 0, "", "ssa"),
        ("disabled", ["ssa"], 0, "", "csa"),
        ("auto", ["ssa"], 0, "", "ssa"),
        ("auto", ["csa"], 0, "", "csa"),
        ("auto", ["ssa", "csa"], 0, "", "csa"),
        ("auto", [""], 0, "", "csa"),  # Helm 3
        ("auto", [], 0, "", "ssa"),
        ("auto", ["ssa"], 1, "csa", "csa"),
        ("auto", ["csa"], 1, "ssa", "ssa"),
        ("enabled", ["csa"], 1, "csa", "ssa"),
    ],
)
def test_the_method_of_a_revision(
    wanted: ServerSideApply, before: Sequence[ApplyMethod], of_revision: int, method: str, expected: ApplyMethod
) -> None:
    assert apply_method(wanted, content(of_revision, method), [record(item) for item in before]) == expected


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ("pending-install", ""),
        ("pending-upgrade", "spec.upgrade.force: true"),
        ("pending-rollback", "spec.rollback.force: true"),
    ],
)
def test_where_force_could_be_asked_for(status: str, field: str) -> None:
    manner = manner_of(record("ssa", status), [record("ssa")], ActionOptions(force=True, timeout=7))

    assert (manner.force.asked, manner.force.setting, manner.force.timeout) == (True, field, 7)
    assert not manner.client_side
    assert not manner.was_client_side


def test_objects_are_looked_at_first_when_any_earlier_revision_was_client_side() -> None:
    assert manner_of(record("ssa", "pending-upgrade"), [record(""), record("ssa")], ActionOptions()).was_client_side


def manifest(api_version: str, kind: str, spec: Manifest | None = None, **annotations: str) -> Manifest:
    metadata = {"name": "x", "namespace": "default", "annotations": annotations}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec or {}}


KEEP = {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(
    ("live", "why"),
    [
        (manifest("apps/v1", "Deployment"), ""),
        (manifest("v1", "Service"), ""),
        (manifest("apps/v1", "StatefulSet"), ""),
        (manifest("apps/v1", "StatefulSet", {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain"}}), ""),
        (
            manifest("apps/v1", "StatefulSet", {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}),
            "volumes",
        ),
        (manifest("v1", "PersistentVolumeClaim"), "data"),
        (manifest("v1", "PersistentVolume"), "data"),
        (manifest("v1", "Namespace"), "data"),
        (manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "data"),
        (manifest("example.com/v1", "Database"), "controller"),
        (manifest("apps/v1", "Deployment", None, **KEEP), "policy"),
    ],
)
def test_what_is_never_replaced(live: Manifest, why: str) -> None:
    found = why_not_replaced(live, manifest("v1", "X"))

    assert bool(found) == bool(why)
    assert why in found


def test_a_policy_that_is_new_counts_as_well() -> None:
    assert why_not_replaced(manifest("v1", "ConfigMap"), manifest("v1", "ConfigMap", None, **KEEP))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('Invalid value: {"matchLabels":{"app":"a: b"}}: field is immutable', "field is immutable"),
        ("Forbidden: updates to statefulset spec are forbidden", "updates to statefulset spec are forbidden"),
        ('Forbidden: spec is immutable @@ -1,6 +1,6 @@ { - "a" + "b"', "spec is immutable"),
        (
            "field is immutable (what the API server said is not shown)",
            "field is immutable (what the API server said is not shown)",
        ),
    ],
)
def test_complaints_without_what_they_quote(text: str, shown: str) -> None:
    key = ObjectKey("apps", "Deployment", "default", "x")
    error = Invalid("cannot", status=422, key=key, causes=[("spec.a", text), ("spec.b", text)])

    assert fields_of(error) == f"spec.a: {shown}; spec.b: {shown}"


def test_a_complaint_that_names_no_field() -> None:
    assert fields_of(Invalid("cannot patch X: no", status=422)) == "cannot patch X: no"
