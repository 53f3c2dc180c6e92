"""What ``gitsync validate`` writes for the services that show it beside a change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sarif_pydantic import Level, Sarif

from gitsync.api.identity import Origin
from gitsync.cli import main
from gitsync.cli.repository.annotations import FORMATS, github
from gitsync.cli.repository.checks import CHECKS, ManifestProblem
from tests.cli.repositories import git, place, release, write

__all__ = ["place"]


def told(service: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["validate", "--no-charts", "-o", service]) == 1
    return capsys.readouterr().out


def test_github_gets_a_command_for_each_problem(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {"apps/a,b.yaml": release("waits", "nosuch")})
    assert told("github", capsys) == (
        "::error file=apps/a%2Cb.yaml,line=16,col=7,title=gitsync dependencies::"
        "depends on HelmRelease 'default/nosuch', which is not in the repository\n"
    )


def test_files_are_named_from_the_root_of_the_repository_wherever_the_command_runs(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(place, {"apps/waits.yaml": release("waits", "nosuch")})
    git(place, "init", "--quiet")
    monkeypatch.chdir(place / "apps")
    (problem,) = json.loads(told("gitlab", capsys))
    assert problem["location"] == {"path": "apps/waits.yaml", "lines": {"begin": 16}}


def test_nothing_that_a_file_says_ends_a_command_or_begins_another() -> None:
    problem = ManifestProblem(Origin("x\n::y:1,line=2.yaml", 0, 0), "50% off\r\n::set-env name=A::b", check="manifests")
    assert github([problem]) == (
        "::error file=x%0A%3A%3Ay%3A1%2Cline=2.yaml,line=1,col=1,title=gitsync manifests::"
        "50%25 off\\r\\n::set-env name=A::b\n"
    )


@pytest.mark.parametrize("service", FORMATS)
def test_a_base_that_is_wrong_in_several_kustomizations_is_told_once_and_no_secret_at_all(
    service: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def kustomization(name: str) -> str:
        return (
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\n"
            f"metadata: {{name: {name}, namespace: default}}\n"
            "spec:\n  interval: 1h\n  prune: true\n  path: ./base\n"
            "  sourceRef: {kind: GitRepository, name: flux-system}\n"
        )

    source = (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: r, namespace: default}\n"
        "spec:\n  interval: 1h\n  url: https://ann:hunter2@charts.example\n  nosuch: https://ann:hunter2@x.example\n"
    )
    write(
        place,
        {"clusters/a.yaml": kustomization("a"), "clusters/b.yaml": kustomization("b"), "base/source.yaml": source},
    )
    git(place, "init", "--quiet")
    assert main(["validate", "--no-charts", "-o", service, "clusters"]) == 1
    said = capsys.readouterr().out
    assert "hunter2" not in said
    assert said.count("unknown field") == 1


def test_a_code_quality_report_knows_a_problem_again_when_lines_come_above_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = release("waits", "nosuch") + "---\n" + release("waits2", "nosuch")
    write(place, {"waits.yaml": twice})
    before: list[dict[str, Any]] = json.loads(told("gitlab", capsys))
    write(place, {"waits.yaml": "# a line\n" + twice})
    after = json.loads(told("gitlab", capsys))
    assert [item["fingerprint"] for item in before] == [item["fingerprint"] for item in after]
    assert len({item["fingerprint"] for item in before}) == len(before) == 2
    assert [item["location"]["lines"]["begin"] + 1 for item in before] == [
        item["location"]["lines"]["begin"] for item in after
    ]
    assert {(item["check_name"], item["severity"]) for item in before} == {("gitsync/dependencies", "critical")}


def test_sarif_is_read_by_others_and_has_a_rule_for_each_check(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t, namespace: default}\n"
    write(place, {"a b.yaml": release("waits", "nosuch"), "other.yaml": other})
    (run,) = Sarif.model_validate_json(told("sarif", capsys)).runs
    assert [rule.id for rule in run.tool.driver.rules or []] == list(CHECKS)
    found = {result.rule_id: result for result in run.results or []}
    assert {check: result.level for check, result in found.items()} == {
        "dependencies": Level.ERROR,
        "kinds": Level.WARNING,
    }
    (location,) = found["dependencies"].locations or []
    place_in_file = location.physical_location
    assert place_in_file is not None
    assert place_in_file.artifact_location is not None
    assert place_in_file.artifact_location.uri == "a%20b.yaml"
    assert place_in_file.region is not None
    assert (place_in_file.region.start_line, place_in_file.region.start_column) == (16, 7)


@pytest.mark.parametrize("service", FORMATS)
def test_what_is_right_is_an_empty_report(service: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(place, {"fine.yaml": release("fine")})
    assert main(["validate", "--no-charts", "-o", service]) == 0
    said = capsys.readouterr().out
    match service:
        case "github":
            assert said == ""
        case "gitlab":
            assert json.loads(said) == []
        case _:
            assert json.loads(said)["runs"][0]["results"] == []
