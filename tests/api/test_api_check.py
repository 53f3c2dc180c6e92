from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.api import check, dotted, drop_nulls
from tests import yamls

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.yaml"))


def release(**spec: Any) -> dict[str, Any]:
    chart = {"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "bitnami"}}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "redis", "namespace": "default"},
        "spec": {"interval": "5m", "chart": chart, **spec},
    }


def repository(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "bitnami"},
        "spec": {"url": "https://charts.example", **spec},
    }


def said(manifest: dict[str, Any]) -> list[str]:
    return [str(error) for error in check(manifest)]


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_good_manifests_give_no_errors(file: Path) -> None:
    documents = yamls.documents(file)
    assert documents
    assert [said(document) for document in documents] == [[] for _ in documents]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"interval": "5 min"}, 'spec.interval: must be a duration such as 5m or 1h30m, not "5 min"; did you mean 5m?'),
        ({"interval": 60}, "spec.interval: must be a duration such as 5m or 1h30m, not 60; did you mean 60s?"),
        ({"timeout": "1d"}, 'spec.timeout: must be a duration such as 5m or 1h30m, not "1d"'),
        ({"timeout": "-5m"}, 'spec.timeout: must be a duration such as 5m or 1h30m, not "-5m"'),
        ({"timeout": "0"}, 'spec.timeout: must be a duration such as 5m or 1h30m, not "0"; did you mean 0s?'),
        ({"dependOn": []}, "spec.dependOn: unknown field; did you mean dependsOn?"),
        ({"depends_on": []}, "spec.depends_on: unknown field; did you mean dependsOn?"),
        ({"install": {"remediations": {}}}, "spec.install.remediations: unknown field; did you mean remediation?"),
        ({"install": {"skipCrds": True}}, "spec.install.skipCrds: unknown field; did you mean skipCRDs?"),
        ({"sourceRef": {}}, "spec.sourceRef: unknown field here; it belongs in spec.chart.spec"),
        ({"version": "1"}, "spec.version: unknown field here; it belongs in spec.chart.spec"),
        (
            {"retries": 3},
            "spec.retries: unknown field here; it belongs in spec.install.remediation or spec.upgrade.remediation",
        ),
        (
            {"install": {"retries": 3}},
            "spec.install.retries: unknown field here; it belongs in spec.install.remediation",
        ),
        ({"test": {"suspend": True}}, "spec.test.suspend: unknown field here; it belongs in spec"),
        ({"zzz": 1}, "spec.zzz: unknown field"),
        ({"valuesFrom": [{"kind": "ConfigMap", "name": "a", "key": "b"}]}, "spec.valuesFrom[0].key: unknown field"),
        ({"suspend": "yes"}, 'spec.suspend: must be true or false, not "yes"'),
        ({"maxHistory": "3"}, 'spec.maxHistory: must be a whole number, not "3"'),
        ({"maxHistory": True}, "spec.maxHistory: must be a whole number, not true"),
        ({"releaseName": 5}, "spec.releaseName: must be a string, not 5; put it in quotes"),
        ({"releaseName": "x" * 54}, "spec.releaseName: must have at most 53 characters; this has 54"),
        ({"releaseName": ""}, "spec.releaseName: must not be empty"),
        (
            {"releaseName": "My_Release"},
            "spec.releaseName: must be lower case letters, digits, - and ., and begin and end with a letter or digit",
        ),
        (
            {"targetNamespace": "a.b"},
            "spec.targetNamespace: must be lower case letters, digits and -, and begin and end with a letter or digit",
        ),
        ({"dependsOn": {"name": "x"}}, "spec.dependsOn: must be a list, not a mapping"),
        ({"dependsOn": ["x"]}, 'spec.dependsOn[0]: must be a mapping of fields, not "x"'),
        ({"dependsOn": [None]}, "spec.dependsOn[0]: must be a mapping of fields, not null"),
        ({"dependsOn": [{"namespace": "x"}]}, "spec.dependsOn[0].name: is required"),
        (
            {"dependsOn": [{"name": "a/b/c"}]},
            'spec.dependsOn[0].name: must be <name> or <namespace>/<name>, not "a/b/c"',
        ),
        ({"dependsOn": [{"name": "a/"}]}, 'spec.dependsOn[0].name: must be <name> or <namespace>/<name>, not "a/"'),
        (
            {"dependsOn": [{"name": "a/b", "namespace": "c"}]},
            'spec.dependsOn[0].namespace: says "c", but name says "a"; keep one of them',
        ),
        ({"values": ["a"]}, "spec.values: must be a mapping, not a list"),
        (
            {"upgrade": {"crds": "create"}},
            'spec.upgrade.crds: must be Skip, Create or CreateReplace, not "create"; did you mean Create?',
        ),
        (
            {"upgrade": {"remediation": {"retries": 1.5}}},
            "spec.upgrade.remediation.retries: must be a whole number, not 1.5",
        ),
        ({"kubeConfig": {}}, "spec.kubeConfig: needs secretRef or configMapRef"),
        (
            {"kubeConfig": {"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}},
            "spec.kubeConfig: has both secretRef and configMapRef; keep one of them",
        ),
        (
            {"install": {"strategy": {"name": "RemediateOnFailure", "retryInterval": "1m"}}},
            "spec.install.strategy.retryInterval: needs name: RetryOnFailure beside it; "
            "RemediateOnFailure has no interval",
        ),
        ({"chart": None}, "spec: needs chart or chartRef"),
        ({"chartRef": {"kind": "HelmChart", "name": "x"}}, "spec: has both chart and chartRef; keep one of them"),
        (
            {"valuesFrom": [{"kind": "Secret", "name": "a", "targetPath": "a b"}]},
            "spec.valuesFrom[0].targetPath: must be a path as helm --set takes it: "
            "letters, digits, - _ . / \\ and [index]",
        ),
        (
            {"commonMetadata": {"labels": {"a.b/c": 5}}},
            'spec.commonMetadata.labels["a.b/c"]: must be a string, not 5; put it in quotes',
        ),
    ],
)
def test_what_is_wrong_with_a_release_is_said_in_plain_words(spec: dict[str, Any], expected: str) -> None:
    assert said(release(**spec)) == [expected]


def test_all_problems_are_reported_at_once_and_in_order() -> None:
    broken = release(interval="soon", dependOn=[], maxHistory="x", dependsOn=[{"name": "/"}])
    del broken["spec"]["chart"]
    broken["metadata"] = {"name": "Redis", "lables": {}, "annotations": {"a": True}}
    broken["data"] = {}
    assert [dotted(error.path) for error in check(broken)] == [
        "data",
        "metadata.annotations.a",
        "metadata.lables",
        "metadata.name",
        "spec",
        "spec.dependOn",
        "spec.dependsOn[0].name",
        "spec.interval",
        "spec.maxHistory",
    ]


def test_the_suggestion_is_also_given_bare() -> None:
    (error,) = check(release(dependOn=[]))
    assert (error.path, error.suggestion) == (("spec", "dependOn"), "dependsOn")


def test_missing_parts_are_named() -> None:
    assert said({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease"}) == [
        "metadata: is required",
        "spec: is required",
    ]
    assert said({**release(), "spec": {}}) == ["spec: needs chart or chartRef", "spec.interval: is required"]


def test_a_version_that_does_not_exist_is_named() -> None:
    assert said({**release(), "apiVersion": "helm.toolkit.fluxcd.io/v1"}) == [
        'apiVersion: has no version "v1"; there are v2, v2beta2, v2beta1'
    ]


def test_a_misspelt_kind_of_our_groups_is_named() -> None:
    assert said({**release(), "kind": "HelmReleases"}) == [
        'kind: helm.toolkit.fluxcd.io has no kind "HelmReleases"; did you mean HelmRelease?'
    ]


@pytest.mark.parametrize(
    "manifest",
    [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"nam": "x"}, "dta": {}},
        {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "ExternalArtifact", "spec": {"anything": 1}},
        {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "spec": {"repo": "x"}},
        {"apiVersion": 5, "kind": None},
        {},
    ],
)
def test_other_kinds_are_not_ours_to_check(manifest: dict[str, Any]) -> None:
    assert check(manifest) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"url": "charts.example"},
            ["spec.url: must be a URL that begins with http://, https:// or oci://"],
        ),
        ({"type": "oci"}, ["spec.url: must begin with oci:// for type: oci"]),
        ({"type": "OCI"}, ['spec.type: must be default or oci, not "OCI"; did you mean oci?']),
        ({"timeout": "1h"}, ['spec.timeout: must be a duration in minutes or seconds such as 60s, not "1h"']),
        ({"secretRef": "login"}, ['spec.secretRef: must be a mapping of fields, not "login"']),
    ],
)
def test_sources_are_checked_too(spec: dict[str, Any], expected: list[str]) -> None:
    assert said(repository(**spec)) == expected


def test_values_and_status_are_never_looked_into() -> None:
    manifest = release(values={"dependOn": 1, "nested": {"interval": "soon"}})
    manifest["status"] = {"nonsense": 1, "history": "x"}
    assert check(manifest) == []


def test_values_are_never_repeated() -> None:
    assert said(release(values="password: hunter2")) == ["spec.values: must be a mapping, not a string"]


def test_a_manifest_full_of_rubbish_is_checked_quickly_and_cut_short() -> None:
    def taken(size: int) -> float:
        manifest = release(**{f"field{number}": number for number in range(size)}, dependsOn=["x"] * size)
        begun = time.process_time()
        assert len(check(manifest)) == 100
        return time.process_time() - begun

    small, large = taken(5_000), taken(50_000)
    assert large < 40 * small, "ten times the rubbish takes about ten times as long, not a hundred times"


def test_long_names_and_values_are_shown_cut_short() -> None:
    (unknown, interval) = said(release(**{"x" * 5000: 1}, interval="y" * 5000))[::-1]
    assert len(unknown) < 200
    assert len(interval) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
field_names = st.sampled_from(
    ["chart", "chartRef", "interval", "dependsOn", "install", "upgrade", "test", "kubeConfig", "valuesFrom", "values"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(field_names, json_values, max_size=4), json_values)
def test_no_input_makes_the_check_fail(spec: dict[str, Any], anything: Any) -> None:
    before = release(**spec)
    manifest = copy.deepcopy(before)
    for error in check(manifest):
        assert error.message
        assert str(error)
    check({**manifest, "spec": anything})
    check({**manifest, "metadata": anything})
    drop_nulls({**manifest, "metadata": anything})
    assert repr(manifest) == repr(before)


def test_nulls_are_dropped_from_typed_fields_only() -> None:
    operation = {"op": "add", "path": "/x", "value": None}
    patches = [{"kustomize": {"images": None, "patchesJson6902": [{"target": {"kind": "X"}, "patch": [operation]}]}}]
    manifest = release(suspend=None, dependsOn=None, values={"a": None}, install={"crds": None}, postRenderers=patches)
    manifest["metadata"]["labels"] = None
    before = copy.deepcopy(manifest)
    cleaned = drop_nulls(manifest)
    assert manifest == before
    assert cleaned["metadata"] == {"name": "redis", "namespace": "default"}
    assert cleaned["spec"] == {
        "interval": "5m",
        "chart": manifest["spec"]["chart"],
        "values": {"a": None},
        "install": {},
        "postRenderers": [{"kustomize": {"patchesJson6902": [{"target": {"kind": "X"}, "patch": [operation]}]}}],
    }


def test_a_manifest_without_nulls_is_handed_back_itself() -> None:
    manifest = release(values={"a": None})
    assert drop_nulls(manifest) is manifest
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "data": None}
    assert drop_nulls(foreign) is foreign
