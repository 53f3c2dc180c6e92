"""Whatever somebody has written where gitsync reads what it wrote itself: it is read, left out, or an error of the room
that reads it, and never a defect."""

from __future__ import annotations

import base64
import contextlib
import copy
import gzip
import json
from datetime import UTC, datetime
from functools import reduce
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gitsync.api.conditions import held_for
from gitsync.api.helmrelease import HelmRelease
from gitsync.api.inventory import parse_inventory_id
from gitsync.api.names import DEPENDS_ON_ORIGIN_ANNOTATION, LEFTOVERS_ANNOTATION, TAKEN_OVER_ANNOTATION
from gitsync.api.status import (
    Condition,
    GitRepositoryStatus,
    HelmChartStatus,
    HelmReleaseStatus,
    HelmRepositoryStatus,
    KustomizationStatus,
    OCIRepositoryStatus,
    StatusModel,
)
from gitsync.apply.ownership import taken_over_in
from gitsync.apply.wait import version
from gitsync.errors import FieldErrors, InventoryError
from gitsync.health import assess, finished
from gitsync.health.registry import RULES
from gitsync.live.events import last_seen
from gitsync.release.dependencies.places import edges_of
from gitsync.release.leftovers import leftovers_of
from gitsync.release.status.observed import ObservedStatus
from gitsync.release.storage.record import summarise
from gitsync.sync.kustomization.storage.statusstore import inventory_of
from gitsync.sync.storage import history, inventory
from gitsync.sync.storage.history import JournalChange, JournalEntry

DEEP = "[" * 5000
DIGITS = "9" * 5000
#: What no schema keeps out of a free text, or what a server of somebody else's may answer.
ODD = st.sampled_from(
    [
        DEEP,
        DIGITS,
        "²",
        "١",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2024-01-01T00:00:00",
        "-1",
        "1e999",
        "null",
        "{}",
        '{"a": [1]}',
        '{"a": null}',
        "\x1b[31m",
        "_",
        "a_b_c_d",
    ]
)
TEXTS = st.text(max_size=8) | ODD
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**30) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

CONDITION = {
    "type": "Ready",
    "status": "True",
    "reason": "Done",
    "message": "done",
    "lastTransitionTime": "2024-01-01T00:00:00Z",
    "observedGeneration": 1,
}
SNAPSHOT = {
    "digest": "sha256:a",
    "name": "a",
    "namespace": "b",
    "version": 1,
    "status": "deployed",
    "chartName": "c",
    "chartVersion": "1",
    "configDigest": "d",
    "firstDeployed": "2024-01-01T00:00:00Z",
    "lastDeployed": "2024-01-01T00:00:00Z",
    "testHooks": {"t": {"phase": "Succeeded"}},
}
STATUS = {
    "conditions": [CONDITION],
    "observedGeneration": 1,
    "history": [SNAPSHOT],
    "inventory": {"entries": [{"id": "a_b_apps_Deployment", "v": "v1"}]},
    "artifact": {"revision": "main@sha1:a", "metadata": {"a": "b"}, "size": 3},
    "includedArtifacts": [{"revision": "a"}],
    "observedLayerSelector": {"a": "b"},
    "failures": 1,
    "installFailures": 1,
    "storageNamespace": "b",
    "lastAppliedRevision": "main@sha1:a",
    "lastAttemptedReleaseAction": "install",
    "lastHandledReconcileAt": "a",
}
STATUSES: list[type[StatusModel]] = [
    HelmReleaseStatus,
    KustomizationStatus,
    HelmRepositoryStatus,
    OCIRepositoryStatus,
    HelmChartStatus,
    GitRepositoryStatus,
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all that is in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def with_other(value: Any, place: tuple[Any, ...], other: Any) -> Any:
    """A value with something else in one place."""
    changed = copy.deepcopy(value)
    *way, last = place
    reduce(lambda found, key: found[key], way, changed)[last] = other
    return changed


@given(place=st.sampled_from(places(STATUS)[1:]), other=ANYTHING)
def test_a_status_with_anything_in_it_is_read(place: tuple[Any, ...], other: Any) -> None:
    status = with_other(STATUS, place, other)
    for model in STATUSES:
        found = model.read(status)
        assert found.patch_from(model()) is not None
    manifest = {"metadata": {"name": "a", "namespace": "b", "generation": 1}, "status": status}
    observed = ObservedStatus(manifest)
    assert observed.is_stalled in (True, False)
    assert observed.last_ref is None or observed.last_ref.name
    assert len(inventory_of(manifest)) <= 1


@given(value=ANYTHING)
def test_a_status_that_is_anything_is_read(value: Any) -> None:
    for model in STATUSES:
        assert model.read(value).patch_from(model()) is not None


@given(text=ODD | st.datetimes().map(str) | st.text())
def test_the_time_of_a_condition_is_a_time_or_none(text: str) -> None:
    condition = Condition.model_validate({**CONDITION, "lastTransitionTime": text})
    found = held_for(condition, datetime.now(UTC))
    assert found is None or found >= 0
    assert last_seen({"metadata": {}, "eventTime": text})


@given(note=st.text() | ODD)
@example(note=DEEP)
@example(note='{"a/b": ' + DEEP)
@example(note=f"a/b.v{DIGITS}")
@example(note="path:²\npath:" + DIGITS)
def test_annotations_of_ours_may_say_anything(note: str) -> None:
    annotations = {LEFTOVERS_ANNOTATION: note, TAKEN_OVER_ANNOTATION: note, DEPENDS_ON_ORIGIN_ANNOTATION: note}
    manifest = {"metadata": {"name": "a", "namespace": "b", "annotations": annotations, "resourceVersion": note}}
    assert isinstance(leftovers_of(manifest), list)
    assert taken_over_in(manifest, "b", "a") >= 0
    assert version(manifest) >= 0
    parse_inventory_id(note)
    release = HelmRelease.parse(
        {
            **manifest,
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "spec": {
                "interval": "1m",
                "chart": {"spec": {"chart": "a", "sourceRef": {"kind": "HelmRepository", "name": "a"}}},
                "dependsOn": [{"name": "c"}],
            },
        }
    )
    assert len(list(edges_of(release))) == 1


@given(label=st.text() | ODD)
@example(label=DIGITS)
def test_labels_of_records_may_say_anything(label: str) -> None:
    labels = {"owner": "helm", "name": label, "version": label, "status": label, "modifiedAt": label}
    found = summarise({"metadata": {"name": "a", "namespace": "b", "labels": labels}})
    assert found is None or found.version >= 0


ENTRY = JournalEntry("c", "a", "s", 1.0, 1.0, "succeeded", {"created": 1}, (JournalChange("created", "ConfigMap/a/b"),))
JOURNAL = json.loads(gzip.decompress(base64.b64decode(history.encode([ENTRY])["binaryData"]["journal"])))
INVENTORY = {"version": 1, "commit": "c", "entries": [["", "ConfigMap", "a", "b", "v1", "d", "c", "o", ["e"]]]}
PARTS = {"version": 2, "commit": "c", "parts": [[1, "digest"]]}


def config_map(key: str, body: str) -> dict[str, Any]:
    packed = base64.b64encode(gzip.compress(body.encode())).decode()
    return {"metadata": {"name": "a", "namespace": "b"}, "binaryData": {key: packed}}


@given(data=st.data(), other=ANYTHING)
def test_journals_and_inventories_with_anything_in_them_are_read_or_refused(data: st.DataObject, other: Any) -> None:
    journal, whole, parts = (
        with_other([body], (0, *data.draw(st.sampled_from(places(body)))), other)[0]
        for body in (JOURNAL, INVENTORY, PARTS)
    )
    with contextlib.suppress(InventoryError):
        for entry in history.decode(config_map("journal", json.dumps(journal))):
            assert datetime.fromtimestamp(entry.time, UTC)
            assert entry.weight > 0
            assert f"{entry.took:.1f} {entry.subject[:7]} {sorted(entry.counts)}"
    with contextlib.suppress(InventoryError):
        history.decode_all(config_map("journal", json.dumps({"a/b": journal})))
    for body in (whole, parts):
        with contextlib.suppress(InventoryError):
            head = config_map("inventory", json.dumps(body))
            found = inventory.decode(head)
            assert inventory.encode(found)
            assert len(sorted(found.wanted)) == len(found.wanted)
            inventory.parts_of(head)


@pytest.mark.parametrize("text", [DEEP, '{"version": 1e999}', f"[{DIGITS}]", "nope", "[]", '"a"', "null"])
def test_what_is_no_journal_or_inventory_is_said(text: str) -> None:
    for read, key in ((history.decode, "journal"), (history.decode_all, "journal"), (inventory.decode, "inventory")):
        said, found = "", None
        try:
            found = read(config_map(key, text))
        except InventoryError as error:
            said = error.message
        assert "ConfigMap a does not hold a readable" in said or not found


@given(
    kind=st.sampled_from(sorted(RULES)),
    status=ANYTHING,
    spec=ANYTHING,
    metadata=st.just({}) | st.fixed_dictionaries({"generation": st.integers()}),
)
def test_the_health_of_an_object_with_anything_in_it_is_told(
    kind: tuple[str, str], status: Any, spec: Any, metadata: dict[str, Any]
) -> None:
    """A server that a kubeConfig names keeps to no schema."""
    group, name = kind
    for item in (status, {"conditions": status, "replicas": spec, "observedGeneration": spec, "phase": spec}):
        manifest = {
            "apiVersion": f"{group}/v1" if group else "v1",
            "kind": name,
            "metadata": {"name": "a", "namespace": "b", **metadata},
            "spec": spec,
            "status": item,
        }
        assert assess(manifest, [manifest]).status
        assert finished(manifest, [manifest]).status


@given(place=st.sampled_from(["spec", "metadata", "apiVersion"]), other=ANYTHING)
def test_a_helm_release_with_anything_in_it_is_one_or_says_which_fields_are_wrong(place: str, other: Any) -> None:
    manifest = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "a"}, "spec": {}}
    with contextlib.suppress(FieldErrors):
        HelmRelease.parse({**manifest, place: other})
