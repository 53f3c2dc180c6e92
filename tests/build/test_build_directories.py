"""A directory of a tree becomes desired objects, each with the place where the user wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gitsync.api import ObjectKey
from gitsync.build import Builder, BuildSpec
from gitsync.kubeyaml import load, split
from gitsync.kustomize import Kustomizer
from gitsync.manifests import Desired
from tests.build.flux import Flux, FluxError
from tests.build.trees import COMMIT, built, tree, written


def config(name: str, **data: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in (data or {"a": "b"}).items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines}"


def key(name: str, namespace: str = "", kind: str = "ConfigMap") -> ObjectKey:
    return ObjectKey("", kind, namespace, name)


def places(desired: Desired) -> dict[str, str]:
    return {item.name: str(desired.objects[item].origin) for item in desired.objects}


def data(desired: Desired, name: str, namespace: str = "") -> Any:
    return desired.objects[key(name, namespace)].manifest["data"]


async def test_a_kustomization_is_built_with_its_bases_components_and_files_from_elsewhere() -> None:
    desired = await built(
        {
            "apps/a/kustomization.yaml": """\
                namePrefix: p-
                resources:
                - ../../base
                - x.yaml
                - ../../common/y.yaml
                components: [../../component]
                configMapGenerator:
                - name: other
                  literals: [a=b]
                - name: gen
                  files: [k=../../common/f.txt]
                patches:
                - path: ../../common/patch.yaml
                  target: {kind: ConfigMap, name: b}
                """,
            "apps/a/x.yaml": f"# first\n---\n{config('x1')}---\n{config('x2')}",
            "base/kustomization.yaml": "resources: [b.yaml]\n",
            "base/b.yaml": config("b"),
            "component/kustomization.yaml": """\
                apiVersion: kustomize.config.k8s.io/v1alpha1
                kind: Component
                resources: [c.yaml]
                """,
            "component/c.yaml": config("c"),
            "common/y.yaml": config("y"),
            "common/f.txt": "hello",
            "common/patch.yaml": '- {op: add, path: /data/z, value: "1"}\n',
        },
        path="./apps/a/",
    )
    assert desired.errors == ()
    generated = {name for name in places(desired) if name.startswith(("p-other-", "p-gen-"))}
    assert {name: place for name, place in places(desired).items() if name not in generated} == {
        "p-b": "base/b.yaml:1:1",
        "p-c": "component/c.yaml:1:1",
        "p-x1": "apps/a/x.yaml:3:1",
        "p-x2": "apps/a/x.yaml:10:1",
        "p-y": "common/y.yaml:1:1",
    }
    assert {name.split("-")[1]: places(desired)[name] for name in generated} == {
        "other": "apps/a/kustomization.yaml:8:3",
        "gen": "apps/a/kustomization.yaml:10:3",
    }
    assert data(desired, "p-b") == {"a": "b", "z": "1"}
    x2 = desired.objects[key("p-x2")]
    assert "annotations" not in x2.manifest["metadata"]
    assert str(x2.field_origin(("data", "a"))) == "apps/a/x.yaml:15:3"


SHARED_TRANSFORMERS = {
    "apps/a/kustomization.yaml": """\
        resources: [namespace.yaml, ks.yaml]
        transformers: [./transformers]
        """,
    "apps/a/namespace.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: not-used}\n",
    "apps/a/ks.yaml": """\
        apiVersion: kustomize.toolkit.fluxcd.io/v1
        kind: Kustomization
        metadata: {name: app}
        spec: {interval: 1h, path: ./x, prune: true, sourceRef: {kind: GitRepository, name: flux-system}}
        """,
    "apps/a/transformers/kustomization.yaml": "namespace: team-a\nresources: [../../../transformers]\n",
    "transformers/kustomization.yaml": "resources: [namespaces.yaml, more.yaml]\n",
    "transformers/namespaces.yaml": """\
        apiVersion: builtin
        kind: NamespaceTransformer
        metadata: {name: namespaces}
        fieldSpecs:
        - {path: metadata/name, kind: Namespace, create: true}
        - {path: metadata/namespace, kind: Kustomization, create: true}
        - {path: spec/targetNamespace, group: kustomize.toolkit.fluxcd.io, kind: Kustomization, create: true}
        """,
    # Its path is the file of who makes a plugin of it.
    "transformers/more.yaml": """\
        apiVersion: builtin
        kind: PatchTransformer
        metadata: {name: more}
        path: interval.yaml
        target: {kind: Kustomization}
        """,
    "apps/a/interval.yaml": '[{"op": "replace", "path": "/spec/interval", "value": "5m"}]',
}


async def test_transformers_that_directories_share_are_built_as_flux_builds_them(flux: Flux, tmp_path: Path) -> None:
    desired = await built(SHARED_TRANSFORMERS, path="apps/a")
    assert desired.errors == ()
    assert places(desired) == {"team-a": "apps/a/namespace.yaml:1:1", "app": "apps/a/ks.yaml:1:1"}
    built_by_flux = flux.build(written(SHARED_TRANSFORMERS, tmp_path), {"path": "apps/a"})
    theirs = [load(document.text) for document in split(built_by_flux)]
    assert [item.manifest for item in desired.objects.values()] == theirs
    (app,) = (item for item in theirs if item["kind"] == "Kustomization")
    assert (app["spec"]["targetNamespace"], app["spec"]["interval"]) == ("team-a", "5m")


async def test_a_directory_without_a_kustomization_is_built_of_its_yaml_files_as_flux_does() -> None:
    desired = await built(
        {
            "prod/a.yaml": config("a"),
            "prod/deep/er/b.yml": config("b"),
            "prod/c.json": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}',
            "prod/kust/kustomization.yaml": "nameSuffix: -s\nresources: [in.yaml]\n",
            "prod/kust/in.yaml": config("in"),
            "prod/kust/out.yaml": config("out"),
            "prod/left/d.yaml": config("d"),
            "prod/values.yaml": "replicas: 1\n",
            "prod/chart/Chart.yaml": "name: chart\n",
            "prod/chart/templates/t.yaml": "{{ not yaml\n",
            "prod/.github/ci.yaml": "jobs: {}\n",
            ".sourceignore": "prod/left/\n",
            "other/e.yaml": config("e"),
        },
        path="prod",
    )
    assert desired.errors == ()
    assert places(desired) == {
        "a": "prod/a.yaml:1:1",
        "b": "prod/deep/er/b.yml:1:1",
        "in-s": "prod/kust/in.yaml:1:1",
    }
    assert [str(item.origin) for item in desired.unread] == [
        "prod/chart/Chart.yaml",
        "prod/chart/templates/t.yaml",
        "prod/values.yaml:1:1",
    ]


async def test_the_spec_is_added_in_fluxs_order() -> None:
    files = {
        "a/kustomization.yaml": """\
            namespace: theirs
            resources: [x.yaml]
            images:
            - {name: nginx, newName: registry/nginx, newTag: "1", digest: ""}
            patches:
            - patch: |
                apiVersion: v1
                kind: ConfigMap
                metadata: {name: x}
                data: {first: file, second: file}
            """,
        "a/x.yaml": config("x"),
        "a/c/kustomization.yaml": """\
            apiVersion: kustomize.config.k8s.io/v1alpha1
            kind: Component
            resources: [pod.yaml]
            """,
        "a/c/pod.yaml": """\
            apiVersion: v1
            kind: Pod
            metadata: {name: pod, labels: {app: mine}}
            spec: {containers: [{name: a, image: nginx}]}
            """,
    }
    patch = {
        "patch": "- {op: replace, path: /data/second, value: spec}",
        "target": {"kind": "ConfigMap", "labelSelector": ""},
    }
    spec = BuildSpec(
        path="a",
        target_namespace="ours",
        name_prefix="p-",
        name_suffix="-s",
        components=("c", "none"),
        ignore_missing_components=True,
        images=({"name": "nginx", "newTag": "2"},),
        patches=(patch,),
        labels={"app": "common"},
        annotations={"note": "${not a variable}"},
        variables={"v": "1"},
    )
    desired = await built(files, spec)
    assert desired.errors == ()
    assert data(desired, "p-x-s", "ours") == {"a": "b", "first": "file", "second": "spec"}
    pod = desired.objects[key("p-pod-s", "ours", "Pod")].manifest
    assert pod["spec"]["containers"][0]["image"] == "registry/nginx:2"
    assert pod["metadata"]["labels"] == {"app": "common"}
    assert pod["metadata"]["annotations"] == {"note": "${not a variable}"}


async def test_build_metadata_that_was_asked_for_stays() -> None:
    files = {
        "a/kustomization.yaml": "resources: [x.yaml]\nbuildMetadata: [originAnnotations]\n",
        "a/x.yaml": config("x"),
    }
    desired = await built(files, path="a")
    annotations = desired.objects[key("x")].manifest["metadata"]["annotations"]
    assert annotations == {"config.kubernetes.io/origin": "path: x.yaml\n"}
    files = {"a/kustomization.yaml": "resources: [x.yaml]\n", "a/x.yaml": config("x")}
    desired = await built(files, BuildSpec(path="a", build_metadata=("managedByLabel",)))
    metadata = desired.objects[key("x")].manifest["metadata"]
    assert metadata["labels"]["app.kubernetes.io/managed-by"].startswith("kustomize-")
    assert "annotations" not in metadata


async def test_an_object_whose_annotations_a_patch_takes_is_still_found() -> None:
    patch = '- {op: add, path: /metadata/annotations, value: {a: "1"}}'
    spec = BuildSpec(path="a", patches=({"patch": patch, "target": {"kind": "ConfigMap"}},))
    desired = await built({"a/x.yaml": config("x"), "a/y.yaml": config("y")}, spec)
    assert places(desired) == {"x": "a/x.yaml:1:1", "y": "a/y.yaml:1:1"}
    assert desired.objects[key("x")].manifest["metadata"]["annotations"] == {"a": "1"}


@pytest.mark.parametrize("files", [{"a/readme.md": "nothing"}, {"a/kustomization.yaml": ""}], ids=["generated", "own"])
async def test_a_directory_without_objects_builds_to_none(files: dict[str, str]) -> None:
    desired = await built(files, path="a")
    assert (desired.objects, desired.errors) == ({}, ())


async def test_yaml_is_read_as_kustomize_reads_it_and_models_are_typed() -> None:
    release = """\
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {name: app}
        spec:
          interval: 5m
          chart: {spec: {chart: app, sourceRef: {kind: HelmRepository, name: charts}}}
          values: {on: yes, mode: 0644, text: "yes"}
        """
    builder = Builder(Kustomizer(), "team")
    desired = await built({"a.yaml": release}, builder=builder)
    (release_key,) = desired.helm_releases
    assert release_key.namespaced_name == "team/app"
    (made,) = desired.objects.values()
    assert made.manifest["spec"]["values"] == {"on": "yes", "mode": 420, "text": "yes"}


async def test_an_object_with_a_fault_is_left_out_with_its_place_and_the_others_are_not() -> None:
    release = """\
        apiVersion: helm.toolkit.fluxcd.io/v2
        kind: HelmRelease
        metadata: {name: app}
        spec:
          interval: never
          chart: {spec: {chart: app, sourceRef: {kind: HelmRepository, name: charts}}}
        """
    desired = await built(
        {"a/kustomization.yaml": "resources: [r.yaml, x.yaml]\n", "a/r.yaml": release, "a/x.yaml": config("x")},
        path="a",
    )
    assert set(places(desired)) == {"x"}
    (error,) = desired.errors
    assert (str(error.origin), error.field) == ("a/r.yaml:5:3", "spec.interval")
    assert desired.bad_paths == {"a/r.yaml"}


async def test_the_tree_and_the_commit_are_those_of_the_call() -> None:
    builder = Builder(Kustomizer())
    files = tree({"a/x.yaml": config("x")})
    desired = await builder.build(COMMIT, files, BuildSpec(path="a"))
    assert (desired.commit, desired.tree, desired.files) == (COMMIT, files, 2)


@pytest.mark.parametrize(
    "text",
    [
        "# what this is for\n\n---\nresources: [a.yaml]\n",
        "# what this is for\n--- # begins\nresources: [a.yaml]\n",
        "%YAML 1.1\n---\nresources: [a.yaml]\n",
        "--- {resources: [a.yaml]}\n",
        "\r\n# what this is for\r\n---\r\nresources: [a.yaml]\r\n",
        "---\nresources: [a.yaml]\n---\nresources: [nowhere.yaml]\n",
        "resources: [a.yaml]\n...\n[ no YAML\n",
        "---\n# nothing\n---\nresources: [nowhere.yaml]\n",
        "---\n---\nresources: [nowhere.yaml]\n",
        "# nothing\n",
    ],
)
@pytest.mark.parametrize("is_base", [False, True])
async def test_the_first_document_of_a_kustomization_is_the_one_that_counts(
    flux: Flux, tmp_path: Path, text: str, is_base: bool
) -> None:
    files = {"base/kustomization.yaml" if is_base else "kustomization.yaml": text.encode()}
    files["base/a.yaml" if is_base else "a.yaml"] = config("a").encode()
    if is_base:
        files["kustomization.yaml"] = b"resources: [base]\n"
    desired = await built(files)
    try:
        output = flux.build(written(files, tmp_path), {"path": "./"})
    except FluxError:
        assert [error.message for error in desired.errors] == ["an empty kustomization"]
    else:
        assert not desired.errors
        assert [item.manifest for item in desired.objects.values()] == [load(it.text) for it in split(output)]
