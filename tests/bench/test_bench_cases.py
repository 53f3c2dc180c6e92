"""The workloads are what issue 3 names, as gitsync itself reads them."""

from __future__ import annotations

import pytest

from bench.cases import FOLDER, ISSUE, QUICK, Case, base_files, plain_files, release_files
from bench.sources import by_reference
from gitsync.api.checking.check import check
from gitsync.api.helmrelease import HelmRelease
from gitsync.graph import Edge, Graph
from gitsync.manifests import parse_file


def releases_of(case: Case) -> dict[str, HelmRelease]:
    """The case's files, read as gitsync reads them; every file holds one release and no error."""
    found = {}
    for path, text in release_files(case).items():
        content = parse_file(path, text.encode())
        assert content.errors == ()
        (item,) = content.objects
        assert check(item.manifest) == []
        found[item.key.name] = HelmRelease.parse(item.manifest)
    return found


@pytest.mark.parametrize("case", [*ISSUE, QUICK], ids=lambda case: case.name)
def test_releases_depend_on_each_other_in_the_layers_that_the_case_names(case: Case) -> None:
    releases = releases_of(case)
    edges = [
        Edge(name, dependency.name, None)
        for name, release in releases.items()
        for dependency, _ in release.dependencies()
    ]
    assert [sorted(layer) for layer in Graph(releases, edges).layers()] == [sorted(layer) for layer in case.layers]


def test_the_cases_are_those_of_the_issue() -> None:
    assert [(len(case.layers), len(case.releases)) for case in ISSUE] == [(10, 10), (1, 50), (5, 50), (1, 200)]


def test_each_release_of_a_layer_waits_for_all_of_the_layer_above() -> None:
    releases = releases_of(next(case for case in ISSUE if case.name == "layers-5x10"))
    assert [len(list(release.dependencies())) for release in releases.values()].count(10) == 40


def test_what_is_there_before_is_a_namespace_and_a_chart_repository() -> None:
    kinds = []
    for path, text in base_files("http://127.0.0.1:1/charts").items():
        content = parse_file(path, text.encode())
        assert content.errors == ()
        kinds += [item.key.kind for item in content.objects]
    assert sorted(kinds) == ["HelmRepository", "Namespace"]


def test_releases_of_a_registry_are_the_same_but_for_their_charts() -> None:
    case = next(case for case in ISSUE if case.name == "layers-5x10")
    plain = releases_of(case)
    for path, text in by_reference(case).items():
        (item,) = parse_file(path, text.encode()).objects
        assert check(item.manifest) == []
        found = HelmRelease.parse(item.manifest)
        assert (found.source.kind, found.source.name) == ("OCIRepository", item.key.name)
        same = plain[item.key.name]
        assert (found.spec.values, found.dependencies()) == (same.spec.values, same.dependencies())


def test_a_change_of_one_plain_manifest_changes_one_file() -> None:
    before, after = plain_files(200), plain_files(200, {17: "another"})
    assert before.keys() == after.keys()
    assert [path for path in before if before[path] != after[path]] == [f"{FOLDER}/plain/group-00/settings-0017.yaml"]
    assert parse_file("a.yaml", before[f"{FOLDER}/plain/group-01/settings-0150.yaml"].encode()).errors == ()
