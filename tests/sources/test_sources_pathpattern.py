"""pathPattern: which artifacts directories give, by Flux's rules."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.generator import ArtifactGenerator
from gitsync.errors import ArtifactError
from gitsync.sources.generator import pathpattern
from gitsync.sources.generator.listing import Listing
from gitsync.sources.generator.pathpattern import check_captures, may_make, wanted
from gitsync.tree import Entries, FileList, TreeEntry

FILES = ("apps/Auth/envs/prod/a.yaml", "apps/Auth/envs/stage/deep/a.yaml", "apps/web/envs/prod/a.yaml", "apps/b/c.yaml")
PATTERN = "@repo/apps/{app}/envs/{env}"


def generator(*artifacts: dict[str, Any], pattern: str | None = PATTERN) -> ArtifactGenerator:
    spec: dict[str, Any] = {"sources": [{"alias": "repo", "kind": "GitRepository", "name": "repo"}]}
    spec["artifacts"] = list(artifacts)
    if pattern is not None:
        spec["pathPattern"] = pattern
    manifest = {"apiVersion": "source.extensions.fluxcd.io/v1beta1", "kind": "ArtifactGenerator", "spec": spec}
    return ArtifactGenerator.parse({**manifest, "metadata": {"name": "it", "namespace": "default"}})


def template(name: str = "{app}-{env}", source: str = "apps/{app}/envs/{env}/**", to: str = "") -> dict[str, Any]:
    return {"name": name, "copy": [{"from": f"@repo/{source}", "to": f"@artifact/{to}", "exclude": ["{x}"]}]}


def found(made: ArtifactGenerator, *files: str) -> dict[str, tuple[str, dict[str, str]]]:
    """What is copied for each artifact, and its labels."""
    check_captures(made.spec)
    listing = Listing(Entries(FileList.of(TreeEntry(path, "blob", 1) for path in files or FILES)))
    return {
        item.artifact.name: (item.artifact.copy_[0].source, dict(item.labels))
        for item in wanted(made.spec, {"repo": listing})
    }


def test_each_directory_has_an_artifact_with_labels_in_lower_case() -> None:
    assert found(generator(template())) == {
        "auth-prod": ("@repo/apps/Auth/envs/prod/**", {"app": "auth", "env": "prod"}),
        "auth-stage": ("@repo/apps/Auth/envs/stage/**", {"app": "auth", "env": "stage"}),
        "web-prod": ("@repo/apps/web/envs/prod/**", {"app": "web", "env": "prod"}),
    }


@pytest.mark.parametrize(
    ("pattern", "name", "names"),
    [
        ("@repo/apps/{app}", "{app}", {"auth", "web", "b"}),
        ("@repo/{top}", "all", {"all"}),
        ("@repo/apps/{app}/", "{app}", set()),
        ("@repo/apps/w{app}", "{app}", {"eb"}),
        ("@repo/apps/*/envs/{env}", "{env}", set()),
        ("@repo/nothing/{app}", "{app}", set()),
        ("@repo/apps/web", "it", {"it"}),
    ],
)
def test_a_pattern_means_directories_at_its_own_depth(pattern: str, name: str, names: set[str]) -> None:
    assert found(generator(template(name, "apps"), pattern=pattern)).keys() == names


def test_without_a_pattern_braces_are_what_they_are() -> None:
    made = generator(template("it", "apps/{app}"), pattern=None)
    assert found(made) == {"it": ("@repo/apps/{app}", {})}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("apps/.hidden/envs/prod/a",), "'.hidden' of the directory 'apps/.hidden/envs/prod' cannot be a label"),
        ((f"apps/{'a' * 64}/envs/prod/a",), "cannot be a label"),
        (("apps/a_b/envs/prod/a",), "gives 'a_b-prod', which is no name of Kubernetes"),
        (("apps/A/envs/p/a", "apps/a/envs/p/a"), "'apps/A/envs/p' and 'apps/a/envs/p' both give the artifact 'a-p'"),
    ],
)
def test_directories_that_give_no_artifact_are_errors(files: tuple[str, ...], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        found(generator(template()), *files)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (generator(template(), pattern="@other/{app}"), "spec.pathPattern: there is no source with the alias 'other'"),
        (generator(template(), pattern="@repo/{app"), "spec.pathPattern: a brace in '{app' has no other one"),
        (generator(template(), pattern="@repo/app}"), "spec.pathPattern: a brace"),
        (generator(template(), pattern="@repo/{}"), "spec.pathPattern: {} in '{}' is no capture"),
        (generator(template(), pattern="@repo/{1a}"), "is no capture"),
        (generator(template(), pattern="@repo/{a}/{a}"), "the capture {a} is there twice"),
        (generator(template(), pattern="@repo/{_a}"), "the capture {_a} cannot be a label"),
        (generator(template("{x}")), r"spec.artifacts[0].name: the capture {x} is not in pathPattern"),
        (generator(template(source="{x}")), r"spec.artifacts[0].copy[0].from: the capture {x} is not in pathPattern"),
        (generator(template(to="{x}")), r"spec.artifacts[0].copy[0].to: the capture {x} is not in pathPattern"),
        (generator(template("{app"), pattern=None), "spec.artifacts[0].name: '{app' is no name of Kubernetes"),
    ],
)
def test_what_is_wrong_with_captures_is_said_before_any_directory_is_known(
    made: ArtifactGenerator, message: str
) -> None:
    with pytest.raises(ArtifactError) as caught:
        check_captures(made.spec)
    assert message in caught.value.message


def test_artifacts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathpattern, "MAX_ARTIFACTS", 2)
    with pytest.raises(ArtifactError, match="more than 2 artifacts would be made"):
        found(generator(template()))


def test_a_hostile_pattern_takes_no_long_time() -> None:
    names = "".join(f"{{a{number}}}" for number in range(45))
    made = generator(template("x" + names, "apps"), pattern=f"@repo/apps/{names}!")
    assert found(made, f"apps/{'a' * 250}/a.yaml") == {}
    assert not may_make(made, "a" * 253)


@pytest.mark.parametrize(
    ("template_name", "name", "expected"),
    [
        ("{app}-{env}", "auth-prod", True),
        ("{app}-{env}", "auth", False),
        ("x-{app}", "x-auth", True),
        ("x-{app}", "auth", False),
        ("x.{app}", "x-auth", False),
        ("it", "it", True),
    ],
)
def test_who_may_make_an_artifact(template_name: str, name: str, expected: bool) -> None:
    assert may_make(generator(template(template_name)), name) is expected
