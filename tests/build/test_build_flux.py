"""Made-up repositories come out as they do of Flux's own code, and of ``kubectl kustomize`` on a checkout."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from gitsync import kubeyaml
from gitsync.build import Builder, BuildSpec
from gitsync.kustomize import Kustomizer, find_kubectl
from gitsync.manifests import Desired
from tests.build.flux import Flux, FluxError
from tests.build.trees import COMMIT, tree, written

ORIGIN = "config.kubernetes.io/origin"
VALUES = (
    "b",
    "'yes'",
    "yes",
    "0644",
    "1.50",
    "~",
    "${v}",
    "'${v}'",
    "x-${w:=d}",
    "${u}",
    "$${v}",
    "|\n    a\n    ${v}",
)
VARIABLES: tuple[dict[str, str], ...] = ({"v": "5"}, {"v": "x: y"}, {"v": "", "w": "é"}, {"v": "a\nb", "u": "1"}, {})
DISABLED = "  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\n"
GENERATED = [Phase.explicit, Phase.reuse, Phase.generate]
KINDS = ("ConfigMap", "Secret", "ServiceAccount", "Namespace", "Widget")


@dataclass
class Repository:
    """Files, and the spec of a Kustomization."""

    files: dict[str, str] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)


class Maker:
    """Makes a repository of what hypothesis draws."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._count = 0
        self.made = Repository()

    def any_of(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def maybe(self) -> bool:
        return bool(self._draw(st.booleans()))

    def manifest(self) -> str:
        """An object, of a name of its own unless chance has it otherwise."""
        self._count += 1
        kind = self.any_of(*KINDS)
        version = "example.com/v1" if kind == "Widget" else "v1"
        name = f"n{self._count}" if self._draw(st.integers(0, 19)) else "n1"
        labels = "  labels: {app: x}\n" if self.maybe() else ""
        disabled = self.any_of(*[""] * 9, DISABLED)
        namespace = "  namespace: other\n" if self.any_of(False, False, True) and kind != "Namespace" else ""
        body = {"Widget": "spec", "Secret": "stringData"}.get(kind, "data")
        content = f"{body}:\n  a: {self.any_of(*VALUES)}\n" if kind not in ("ServiceAccount", "Namespace") else ""
        return f"apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: {name}\n{namespace}{labels}{disabled}{content}"

    def file(self, path: str) -> str:
        documents = [self.manifest() for _ in range(self.any_of(1, 1, 1, 2))]
        self.made.files[path] = self.any_of("", "---\n", "# a comment\n") + "---\n".join(documents)
        return path.rpartition("/")[2]

    def kustomization(self, directory: str, depth: int, *, component: bool = False) -> None:
        fields: dict[str, Any] = {}
        if component:
            fields |= {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
        fields["resources"] = [self.file(f"{directory}/r{number}.yaml") for number in range(self.any_of(0, 1, 2))]
        if depth and self.maybe():
            base = f"base{depth}"
            if f"{base}/kustomization.yaml" not in self.made.files:
                self.kustomization(base, depth - 1)
            fields["resources"].append(f"../{base}")
        if depth and self.maybe():
            name = f"component{depth}"
            if f"{name}/kustomization.yaml" not in self.made.files:
                self.kustomization(name, 0, component=True)
            fields["components"] = [f"../{name}"]
        if self.any_of(False, False, True):
            self.file("common/shared.yaml")
            fields["resources"].append("../common/shared.yaml")
        fields |= self._transformations(directory)
        self.made.files[f"{directory}/kustomization.yaml"] = json.dumps(fields, indent=1)

    def _transformations(self, directory: str) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.maybe():
            fields[self.any_of("namePrefix", "nameSuffix")] = self.any_of("p-", "-s")
        if self.any_of(False, False, True):
            fields["namespace"] = "theirs"
        if self.any_of(False, False, True):
            fields["labels"] = [{"pairs": {"team": "${v}"}, "includeSelectors": False}]
        if self.any_of(False, False, True):
            self.made.files["common/file.txt"] = self.any_of("hello ${v}\n", "a\nb", "")
            files = [self.any_of("../common/file.txt", "k=../common/file.txt")]
            generator: dict[str, Any] = {"name": "gen", "files": files, "literals": ["l=1"]}
            if self.maybe():
                generator["options"] = {"disableNameSuffixHash": True}
            fields[self.any_of("configMapGenerator", "secretGenerator")] = [generator]
        if self.maybe():
            fields["patches"] = [self.patch(directory)]
        return fields

    def patch(self, directory: str) -> dict[str, Any]:
        target = {"kind": self.any_of(*KINDS)} | ({"name": "n.*"} if self.maybe() else {})
        text = self.any_of(
            '- {op: add, path: /metadata/annotations, value: {patched: "${v}"}}',
            "- {op: add, path: /patched, value: '${v}'}",
            "- {op: replace, path: /data/a, value: 7}",
            "apiVersion: v1\nkind: Any\nmetadata: {name: any, labels: {patched: '1'}}\n",
        )
        if directory and self.maybe():
            self.made.files["common/patch.txt"] = text
            return {"path": "../common/patch.txt", "target": target}
        return {"patch": text, "target": target}

    def whole(self) -> Repository:
        if self.maybe():
            self.kustomization("apps", 2)
        else:
            for number in range(self.any_of(0, 1, 2)):
                self.file(f"apps/{self.any_of('', 'deep/', 'deep/er/')}f{number}.{self.any_of('yaml', 'yml')}")
            if self.maybe():
                self.kustomization("apps/sub", 0)
                self.made.files["apps/common/shared.yaml"] = self.manifest()
                self.made.files["apps/common/file.txt"] = "x"
                self.made.files["apps/common/patch.txt"] = "- {op: add, path: /x, value: 1}"
        spec = self.made.spec
        spec["path"] = self.any_of("./apps", "apps/")
        for name, value in (("targetNamespace", "ours"), ("namePrefix", "f-"), ("nameSuffix", "-t")):
            if self.any_of(False, False, True):
                spec[name] = value
        if self.maybe():
            spec["patches"] = [self.patch("")]
        if self.any_of(False, False, True):
            spec |= {"components": ["../nosuch"], "ignoreMissingComponents": self.any_of(True, True, False)}
        if self.maybe():
            spec["postBuild"] = {"substitute": self.any_of(*VARIABLES)}
        return self.made


@st.composite
def repositories(draw: Any) -> Repository:
    return Maker(draw).whole()


def said_by(flux: Flux, root: Path, spec: Mapping[str, Any], *, strict: bool, always: bool) -> tuple[str, str]:
    """What Flux writes, and what it complains of."""
    try:
        return flux.build(root, spec, strict=strict, always=always), ""
    except FluxError as error:
        return "", str(error)


def kustomized(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [str(find_kubectl()), "kustomize", str(directory), "--load-restrictor", "LoadRestrictionsNone"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def spec_of(spec: Mapping[str, Any], *, strict: bool, always: bool) -> BuildSpec:
    post_build = spec.get("postBuild")
    return BuildSpec(
        path=spec["path"],
        target_namespace=spec.get("targetNamespace", ""),
        name_prefix=spec.get("namePrefix", ""),
        name_suffix=spec.get("nameSuffix", ""),
        components=tuple(spec.get("components", ())),
        ignore_missing_components=spec.get("ignoreMissingComponents", False),
        patches=tuple(spec.get("patches", ())),
        variables=post_build["substitute"] if post_build is not None else None,
        strict_substitution=strict,
        always_substitute=always,
    )


def objects(text: str) -> dict[tuple[str, ...], Any]:
    """What Flux makes of its output, by identity; without the annotation that it may leave behind."""
    found = {}
    for document in kubeyaml.split(text):
        value = kubeyaml.load(document.text)
        metadata = value["metadata"]
        annotations = metadata.get("annotations") or {}
        annotations.pop(ORIGIN, None)
        if not annotations:
            metadata.pop("annotations", None)
        found[identity(value)] = value
    return found


def identity(value: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = value["metadata"]
    return (value["apiVersion"], value["kind"], str(metadata.get("namespace") or ""), str(metadata["name"]))


def of(desired: Desired) -> dict[tuple[str, ...], Any]:
    return {identity(item.manifest): item.manifest for item in desired.objects.values()}


@settings(max_examples=80, phases=GENERATED, suppress_health_check=list(HealthCheck))
@given(repository=repositories(), strict=st.booleans(), always=st.booleans())
async def test_a_repository_is_built_as_flux_builds_it(
    flux: Flux, tmp_path: Path, repository: Repository, strict: bool, always: bool
) -> None:
    desired = await Builder(Kustomizer()).build(
        COMMIT, tree(repository.files), spec_of(repository.spec, strict=strict, always=always)
    )
    root = tmp_path / "artifact"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    (written(repository.files, root) / "apps").mkdir(exist_ok=True)
    if not any(path.startswith("apps/") for path in repository.files):
        return  # Git has no empty directories
    output, refused = said_by(flux, root, repository.spec, strict=strict, always=always)
    event("refused by Flux" if refused else "built by Flux")
    if refused:
        assert desired.errors, f"only Flux refuses: {refused}"
        assert not desired.objects
        return
    wanted = objects(output)
    found = of(desired)
    assert found == {item: wanted[item] for item in wanted if item in found}
    # What is left out are objects with a fault, which the API server would find.
    assert all(item.field for item in desired.errors)
    assert len(wanted) - len(found) <= len(desired.errors)


@settings(max_examples=25, phases=GENERATED, suppress_health_check=list(HealthCheck))
@given(repository=repositories())
async def test_a_directory_is_built_as_kubectl_builds_it(tmp_path: Path, repository: Repository) -> None:
    if "apps/kustomization.yaml" not in repository.files:
        return
    root = tmp_path / "checkout"
    shutil.rmtree(root, ignore_errors=True)
    written(repository.files, root)
    done = await asyncio.to_thread(kustomized, root / "apps")
    desired = await Builder(Kustomizer()).build(COMMIT, tree(repository.files), BuildSpec(path="apps"))
    if done.returncode:
        assert desired.errors
        assert not desired.objects
    elif not desired.errors:
        assert of(desired) == objects(done.stdout)
    else:
        assert all(item.field for item in desired.errors)
