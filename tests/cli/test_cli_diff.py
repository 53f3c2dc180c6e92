"""``gitsync diff`` on a real Git repository and a real chart repository, with no cluster anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Gitsync, Said
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map, release, repository

Diff = Callable[..., Said]

DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - {name: v1beta1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
  - additionalPrinterColumns: [{name: Age, type: date, jsonPath: .metadata.creationTimestamp}]
    name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
"""


@pytest.fixture
def fleet(tmp_path: Path, charts_url: str) -> Fleet:
    made = Fleet(tmp_path / "fleet")
    made.commit(
        {
            "charts.yaml": repository("apps", charts_url),
            "app.yaml": release("apps", "app", values={"message": "before"}),
            "plain.yaml": config_map("apps", "plain", "1"),
            "other.yaml": release("apps", "other"),
        },
        "first",
    )
    return made


@pytest.fixture
def diff(without_cluster: Gitsync) -> Gitsync:
    return partial(without_cluster, "diff")


@pytest.mark.parametrize("command", ["diff", "verify"])
def test_outside_of_a_checkout_the_way_in_is_told(
    command: str, without_cluster: Gitsync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.chdir(outside)
    said = without_cluster(command, "HEAD")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        f"error: {outside} is in no Git repository\nhint: run this in a checkout, or name a repository with --repo\n"
    )


def test_a_directory_below_is_in_its_repository(diff: Diff, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.commit({"below/plain.yaml": config_map("apps", "below", "1")}, "second")
    monkeypatch.chdir(fleet.path / "below")
    said = diff("HEAD~1")
    assert said.code == 2, said.err
    assert "+ create ConfigMap/apps/below (below/plain.yaml:1:1)" in said.out


def test_rendered_objects_of_both_commits_are_compared(diff: Diff, fleet: Fleet) -> None:
    first = fleet.head
    fleet.commit(
        {
            "app.yaml": release("apps", "app", values={"message": "after"}),
            "plain.yaml": None,
            "added.yaml": config_map("apps", "added", "2"),
        },
        "second",
    )

    said = diff("HEAD~1")
    assert said.code == 2, said.err
    assert "-  message: before" in said.out
    assert "+  message: after" in said.out
    assert "- delete ConfigMap/apps/plain (plain.yaml:1:1)" in said.out
    assert "+ create ConfigMap/apps/added (added.yaml:1:1)" in said.out
    assert "(release apps/app)" in said.out
    assert "apps/other" not in said.out, "it has not changed"

    data = json.loads(diff(first, fleet.head, "-o", "json").out)
    assert (data["old"], data["new"]) == (first, fleet.head)
    changed = {(item["release"], item["kind"], item["action"]) for item in data["objects"]}
    assert ("apps/app", "ConfigMap", "change") in changed
    assert diff(first, first).code == 0


def test_a_release_that_cannot_be_rendered_is_said_and_its_own_change_shown(diff: Diff, fleet: Fleet) -> None:
    fleet.commit({"app.yaml": release("apps", "app").replace("version: 1.0.0", "version: 9.9.9")}, "no such version")

    said = diff("HEAD~1")
    assert said.code == 1
    assert "app.yaml:1:1: HelmRelease/apps/app: " in said.err
    assert "9.9.9" in said.err
    assert re.search(r"^\+ +version: \"?9.9.9", said.out, re.MULTILINE)
    assert said.out.count("delete") == 0, "what it would render is not known"


def test_what_a_release_asks_for_is_compared_too_and_everything_is_in_its_namespace(diff: Diff, fleet: Fleet) -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: secret-of-the-test}\n"
    same = release("apps", "app", "other", values={"message": "before"})
    same = same.replace('{"message": "before"}', "{}")
    same += "  valuesFrom: [{kind: ConfigMap, name: text, valuesKey: said, targetPath: message}]\n"
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}\ndata: {said: from-git}\n"
    moved = same.replace("\n  interval:", "\n  targetNamespace: elsewhere\n  releaseName: app\n  interval:")
    assert moved != same
    fleet.commit({"app.yaml": moved, "secret.yaml": secret, "text.yaml": text}, "moved")
    said = diff("HEAD~1", "--default-namespace", "apps")
    assert said.code == 2, said.err
    assert "~ change HelmRelease/apps/app (app.yaml:1:1)" in said.out
    assert re.search(r"^\+ +- name: other", said.out, re.MULTILINE)
    assert re.search(r"^- delete ConfigMap/apps/\S+ +\(release apps/app\)", said.out, re.MULTILINE)
    assert re.search(r"^\+ create ConfigMap/elsewhere/\S+ +\(release apps/app\)", said.out, re.MULTILINE)
    assert "+ create Secret/apps/login" in said.out
    assert re.search(r"^\+ +message: from-git$", said.out, re.MULTILINE), (
        "valuesFrom finds it where it would come to be"
    )
    assert "secret-of-the-test" not in said.out + said.err


def test_a_name_that_git_does_not_know_is_an_error(diff: Diff, fleet: Fleet) -> None:
    said = diff("nosuch", "--repo", fleet.path.as_uri())
    assert said.code == 1
    assert "there is no branch, tag or commit 'nosuch'" in said.err
    assert "hint:" in said.err


def test_more_commits_back_than_there_are_is_no_name_of_a_branch(diff: Diff, fleet: Fleet) -> None:
    said = diff("HEAD~7")
    assert said.code == 1
    assert "error: there is no commit 'HEAD~7' at " in said.err
    assert "check-ref-format" not in said.err


def test_a_branch_of_a_repository_elsewhere_can_be_named(diff: Diff, fleet: Fleet) -> None:
    first = fleet.head
    fleet.commit({"plain.yaml": config_map("apps", "plain", "2")}, "second")
    said = diff(first, "HEAD", "--repo", fleet.path.as_uri())
    assert said.code == 2, said.err
    assert "~ change ConfigMap/apps/plain" in said.out


def test_what_comes_out_of_a_secret_is_masked_on_both_sides_and_where_rendering_fails(diff: Diff, fleet: Fleet) -> None:
    chart = {
        "chart/Chart.yaml": "apiVersion: v2\nname: careless\nversion: 1.0.0\n",
        "chart/templates/shown.yaml": (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shown}\n"
            "data: {line: 'app {{ .Values.login }} db', size: '{{ .Values.size }}'}\n"
        ),
    }
    careless = release("apps", "careless", values={"size": "small"})
    careless = careless.replace("chart: app\n", "chart: ./chart\n").replace("      version: 1.0.0\n", "")
    careless = re.sub("sourceRef: .*", "sourceRef: {kind: GitRepository, name: flux-system}", careless)
    careless += "  valuesFrom: [{kind: Secret, name: login, valuesKey: password, targetPath: login}]\n"
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: apps}\nstringData: {password: %s}\n"
    fleet.commit({**chart, "careless.yaml": careless, "secret.yaml": secret % "first-of-two"}, "careless")
    fleet.commit(
        {"careless.yaml": careless.replace("small", "large"), "secret.yaml": secret % "second-of-two"}, "rotated"
    )
    said = diff("HEAD~1")
    assert said.code == 2, said.err
    assert re.search(r"^-  size: small", said.out, re.MULTILINE)
    assert re.search(r"^-  line: app \*\*\* db", said.out, re.MULTILINE)
    assert re.search(r"^\+  line: app \*\*\* db", said.out, re.MULTILINE)
    assert "-of-two" not in said.out

    fails = '{{ fail (printf "no %s here" .Values.login) }}\n'
    fleet.commit({"chart/templates/fails.yaml": fails}, "fails")
    said = diff("HEAD~1")
    assert said.code == 1
    assert "no *** here" in said.err
    assert "-of-two" not in said.out + said.err


def test_of_a_definition_that_comes_or_goes_there_is_a_line_and_all_of_it_in_json(
    diff: Diff, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(fleet.path)
    fleet.commit({"crd.yaml": DEFINITION}, "it comes")
    name = "CustomResourceDefinition/widgets.example.com"
    came = diff("HEAD~1")
    line = came.out.splitlines()[0]
    assert line.startswith(f"+ create {name} (crd.yaml:1:1, versions v1beta1, v1: "), came.out
    lines = len(json.loads(diff("HEAD~1", "-o", "json").out)["objects"][0]["diff"]) - 1
    assert line.endswith(f"{lines} lines, all of them with -o json)"), came.out
    fleet.commit({"crd.yaml": DEFINITION.replace("Namespaced", "Cluster")}, "it changes")
    assert "-  scope: Namespaced\n+  scope: Cluster" in diff("HEAD~1").out
    fleet.commit({"crd.yaml": None}, "it goes")
    gone = diff("HEAD~1").out
    assert f"- delete {name}" in gone
    assert "versions v1beta1, v1: " in gone
    assert "scope" not in gone
