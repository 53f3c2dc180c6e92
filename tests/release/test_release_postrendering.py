"""postRenderers: what they make of rendered charts, and what is said of those that cannot be done."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gitsync.api.helmrelease import HelmRelease
from gitsync.charts import Chart, Rendered, Sourced, install_order, parts
from gitsync.charts.serve import files_below
from gitsync.charts.source import archive_from_files
from gitsync.errors import PostRenderError
from gitsync.helm.archive import ArchiveFile, build
from gitsync.helm.manifest import sourced_objects
from gitsync.kustomize import Kustomizer
from gitsync.release.desired import desired_release
from gitsync.release.postrender.postrender import PostRendering, post_rendered
from gitsync.sources.charts.chart import ChartArtifact
from tests.charts.cases import CASES
from tests.charts.inprocess import rendered_here
from tests.controlplane.cluster import Cli
from tests.parity.postrenderer import with_kustomize

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n"
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: y}\n"


def helm_release(**spec: Any) -> HelmRelease:
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "app", "namespace": "default"},
            "spec": {
                "interval": "5m",
                "chart": {"spec": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
                **spec,
            },
        }
    )


def chart(**templates: str) -> bytes:
    files = [ArchiveFile("Chart.yaml", b"apiVersion: v2\nname: app\nversion: 1.0.0\n")]
    files += [ArchiveFile(f"templates/{name}.yaml", text.encode()) for name, text in templates.items()]
    return build(files, "app")


def case(name: str) -> bytes:
    return archive_from_files(files_below(CASES[name][0]))


def rendered(chart: bytes, values: Any = None) -> Rendered:
    return rendered_here(chart, values)


async def changed(before: Rendered, *kustomize: dict[str, Any], **spec: Any) -> Rendered:
    """What was rendered after these post-renderers."""
    release = helm_release(postRenderers=[{"kustomize": item} for item in kustomize], **spec)
    wanted = PostRendering.of(release.spec)
    assert wanted is not None
    return await post_rendered(before, wanted, Kustomizer())


def operation(op: str, path: str, **more: Any) -> str:
    return json.dumps([{"op": op, "path": path, **more}])


COMPARED = {
    "patches": [
        {
            "patch": "apiVersion: v1\nkind: any\nmetadata: {name: any, labels: {patched: 'true'}}\n",
            "target": {"kind": ".*"},
        },
        {"patch": operation("remove", "/metadata/annotations"), "target": {"kind": "Service", "name": ".*"}},
        {"patch": operation("add", "/metadata/annotations/seen", value="by: patch\n"), "target": {"kind": "ConfigMap"}},
        {
            "patch": "apiVersion: apps/v1\nkind: any\nmetadata: {name: any}\nspec: {revisionHistoryLimit: 3}\n",
            "target": {"group": "apps", "kind": "Deployment|StatefulSet"},
        },
    ],
    "images": [
        {"name": "registry.example/app", "newName": "registry.example/other", "newTag": "2"},
        {"name": "redis", "digest": "sha256:" + "0" * 64},
    ],
}


@pytest.mark.parametrize("name", ["hooks", "workloads", "subcharts-all", "redis-replication", "podinfo"])
async def test_the_real_helm_with_the_same_kustomization_renders_the_same(
    name: str, helm_cli: Cli, tmp_path: Path
) -> None:
    folder, values = CASES[name]
    archive, given = tmp_path / "chart.tgz", tmp_path / "values.json"
    archive.write_bytes(archive_from_files(files_below(folder)))
    given.write_text(json.dumps(values))
    fixed = {"resources": ["manifest.yaml"], "sortOptions": {"order": "fifo"}}
    helm = with_kustomize(helm_cli, tmp_path, json.dumps({**fixed, **COMPARED}))
    flags = ("--namespace", "default", "--values", given, "--post-renderer", "kustomize")
    expected = list(sourced_objects(helm("template", "demo", archive, *flags)))

    after = await changed(rendered(case(name), values), COMPARED)

    objects, hooks = parts(after)
    assert in_order_of_names([*objects, *hooks]) == in_order_of_names(expected)
    assert [item["kind"] for _, item in [*objects, *hooks]] == [item["kind"] for _, item in expected]
    assert list(after.objects) == [item for _, item in objects]


def in_order_of_names(objects: list[Sourced]) -> list[tuple[str, str, Any]]:
    """Objects without the numbers in the names that stand in for templates. Within a kind, items of a List are
    elsewhere in Helm's manifest than here."""
    return sorted(
        (f"{item['kind']}/{item['metadata']['name']}", re.sub(r"-\d+\.", "-N.", path), item) for path, item in objects
    )


async def test_renderers_follow_each_other_and_metadata_for_all_has_the_last_word() -> None:
    target = {"kind": "ConfigMap"}
    after = await changed(
        rendered(chart(a=CONFIG_MAP)),
        {"patches": [{"patch": operation("replace", "/data/x", value="first"), "target": target}]},
        {
            "patchesJson6902": [
                {
                    "target": target,
                    "patch": [
                        {"op": "test", "path": "/data/x", "value": "first"},
                        {"op": "add", "path": "/data/null", "value": None},
                        {"op": "add", "path": "/metadata/labels", "value": {"team": "patched", "other": "patched"}},
                    ],
                }
            ],
            "patchesStrategicMerge": [
                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"y": "🙂\u2028"}}
            ],
        },
        commonMetadata={"labels": {"team": "common"}},
    )
    assert after.objects == (
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "a", "labels": {"team": "common", "other": "patched"}},
            "data": {"x": "first", "y": "🙂\u2028", "null": None},
        },
    )
    assert after.manifest.startswith("---\n# Source: app/templates/a.yaml\n")


@pytest.mark.parametrize("name", ["plain", "hooks", "workloads"])
async def test_a_patch_that_meets_nothing_changes_nothing(name: str) -> None:
    before = rendered(case(name), CASES[name][1])
    after = await changed(before, {"patches": [{"patch": operation("remove", "/spec"), "target": {"kind": "None"}}]})
    assert list(after.objects) == install_order(before.objects)
    assert [hook.object for hook in after.hooks] == [hook.object for hook in before.hooks]
    assert (after.crds, after.notes, after.chart_record) == (before.crds, before.notes, before.chart_record)


async def test_what_kubernetes_reads_in_a_template_is_what_it_reads_after_kustomize() -> None:
    odd = (
        "apiVersion: x.example/v1\nkind: Odd\nmetadata: {name: a}\nspec: {a: yes, octal: 0644, big: 9007199254740993}\n"
    )
    after = await changed(rendered(chart(odd=odd)), {"images": [{"name": "none", "newTag": "1"}]})
    assert after.objects[0]["spec"] == {"a": True, "octal": 420, "big": 9007199254740993}


@pytest.mark.parametrize(("strategy", "of_hook"), [("combined", "new"), ("separate", "new"), ("nohooks", "old")])
async def test_the_strategy_says_whether_hooks_are_changed(strategy: str, of_hook: str) -> None:
    hook = CONFIG_MAP.replace("name: a", "name: h, labels: {l: old}, annotations: {helm.sh/hook: pre-install}")
    after = await changed(
        rendered(chart(a=CONFIG_MAP, h=hook.replace("x: y", "x: old"))),
        {"patches": [{"patch": operation("replace", "/data/x", value="new"), "target": {"kind": ".*"}}]},
        postRenderStrategy=strategy,
        commonMetadata={"labels": {"l": "new"}},
    )
    (item,) = after.objects
    (hooked,) = after.hooks
    assert (item["metadata"]["name"], item["data"]["x"], item["metadata"]["labels"]["l"]) == ("a", "new", "new")
    assert hooked.name == "h"
    assert (hooked.object["data"]["x"], hooked.object["metadata"]["labels"]["l"]) == (of_hook, of_hook)


async def test_an_object_that_is_also_a_hook_needs_a_strategy_that_keeps_them_apart() -> None:
    twice = chart(a=CONFIG_MAP, h=CONFIG_MAP.replace("name: a", "name: a, annotations: {helm.sh/hook: pre-install}"))
    image = {"images": [{"name": "none", "newTag": "1"}]}
    with pytest.raises(PostRenderError) as caught:
        await changed(rendered(twice), image)
    assert caught.value.message == (
        "spec.postRenderers: may not add resource with an already registered id: ConfigMap.v1.[noGrp]/a.[noNs]"
    )
    assert "postRenderStrategy separate" in caught.value.hint
    after = await changed(rendered(twice), image, postRenderStrategy="separate")
    assert (len(after.objects), len(after.hooks)) == (1, 1)


async def test_a_patch_may_delete_everything() -> None:
    delete = "apiVersion: v1\nkind: any\nmetadata: {name: any}\n$patch: delete\n"
    after = await changed(
        rendered(chart(a=CONFIG_MAP)),
        {"patches": [{"patch": delete, "target": {"kind": ".*"}}]},
        {"images": [{"name": "none", "newTag": "1"}]},
    )
    assert (after.manifest, after.objects, after.hooks) == ("", (), ())


GOOD = {"patch": operation("add", "/metadata/labels", value={"a": "b"}), "target": {"kind": "ConfigMap"}}
HEAD = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
FIRST, LAST = "spec.postRenderers[0].kustomize", "spec.postRenderers[1].kustomize"

#: The second post-renderer, and what is said of it.
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no YAML": (
        {"patches": [GOOD, {"patch": HEAD + "stringData:\n  p: topsecret\n bad"}, GOOD]},
        f"{LAST}.patches[1]: line 6 of the patch: ",
    ),
    "neither": (
        {"patches": [{"patch": "stringData: {p: topsecret}"}]},
        f"{LAST}.patches[0]: unable to parse SM or JSON patch",
    ),
    "nothing": ({"patches": [{"patch": ""}]}, f"{LAST}.patches[0]: must specify one of patch and path in"),
    "no such object": (
        {"patches": [GOOD, GOOD, {"patch": HEAD.replace("name: s", "name: nope") + "data: {p: topsecret}"}]},
        f'{LAST}.patches[2]: no resource matches strategic merge patch "Secret.v1.[noGrp]/nope.[noNs]"',
    ),
    "no such field": (
        {"patches": [{"patch": operation("replace", "/data/x", value="topsecret"), "target": {"kind": "Secret"}}]},
        f"{LAST}.patches[0]: replace operation does not apply: doc is missing path: /data/x: missing value",
    ),
    "another value": (
        {
            "patches": [
                {"patch": operation("test", "/stringData/password", value="topsecret"), "target": {"kind": "Secret"}}
            ]
        },
        f"{LAST}.patches[0]: testing value /stringData/password failed",
    ),
    "another type": (
        {"patches": [{"patch": HEAD + "stringData: {password: {a: topsecret}}"}]},
        f"{LAST}.patches[0]: wrong node kind: expected ScalarNode but got MappingNode",
    ),
    "a character that YAML has no place for": (
        {"patches": [{"patch": HEAD + 'stringData: {q: "topsecret\\x7f"}'}]},
        f"{LAST}.patches[0]: yaml: control characters are not allowed",
    ),
    "not an object": (
        {"patches": [{"patch": operation("remove", "/kind"), "target": {"kind": "Secret"}}]},
        f"{LAST}.patches[0]: missing kind",
    ),
    "no target": (
        {"patches": [{"patch": operation("add", "/stringData/q", value="topsecret")}]},
        f"{LAST}.patches[0]: must specify a target for JSON patch",
    ),
    "a path": (
        {"patchesStrategicMerge": ["../../../../etc/passwd"]},
        f"{LAST}.patchesStrategicMerge[0]: ",
    ),
    "an image that is no regular expression": (
        {"patches": [GOOD], "images": [{"name": "x", "newTag": "1"}, {"name": "(", "newTag": "1"}]},
        f"{LAST}.images[1]: kustomize crashed",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_an_error_names_the_change_at_fault_and_quotes_no_content(name: str) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: x, image: hunter3}]}\n"
    kustomize, message = BAD[name]
    with pytest.raises(PostRenderError) as caught:
        await changed(rendered(chart(a=CONFIG_MAP, p=pod, s=SECRET)), {"patches": [GOOD]}, kustomize)
    error = caught.value
    assert error.message.startswith(message)
    assert error.message.startswith(error.field)
    said = error.message + error.hint
    assert not [word for word in ("topsecret", "hunter", "/tmp", "manifest.yaml", "root:") if word in said]
    assert "\n" not in said


async def test_what_kustomize_might_quote_in_yet_another_way_is_masked(tmp_path: Path) -> None:
    strange = tmp_path / "kubectl"
    complaint = "echo 'error: /data/p of s: hunter2 or topsecret' >&2; exit 1"
    strange.write_text(f"#!/bin/sh\nif /bin/grep -q patches kustomization.yaml; then {complaint}; fi\n")
    strange.chmod(0o755)
    patch = {"patch": operation("add", "/data/p", value="topsecret"), "target": {"kind": "Secret"}}
    wanted = PostRendering.of(helm_release(postRenderers=[{"kustomize": {"patches": [patch]}}]).spec)
    assert wanted is not None
    with pytest.raises(PostRenderError) as caught:
        await post_rendered(rendered(chart(s=SECRET)), wanted, Kustomizer(strange))
    assert caught.value.message == f"{FIRST}.patches[0]: /data/p of s: … or …"


async def test_nothing_that_a_user_writes_gets_out_of_its_place_in_the_kustomization() -> None:
    hostile = "x\nresources:\n- https://example.invalid/a\n'\"]}: |\n- ../../etc/passwd"
    before = rendered(
        chart(
            a=CONFIG_MAP,
            k=(
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: k}\n"
                "resources: [https://example.invalid/a]\n"
            ),
        )
    )
    after = await changed(
        before,
        {
            "patches": [{"patch": operation("remove", "/data"), "target": {"name": "nobody", "namespace": "'\n- x: "}}],
            "images": [{"name": "x", "newName": hostile, "newTag": hostile}],
        },
    )
    assert after.objects == before.objects
    with pytest.raises(PostRenderError):
        await changed(before, {"patches": [{"patch": hostile, "target": {"kind": hostile}}]})


async def test_an_annotation_that_would_write_lines_of_the_manifest_is_none() -> None:
    forged = "a.yaml\napiVersion: v1\nkind: Secret\nmetadata: {name: forged}\n---\n"
    path = "/metadata/annotations/postrenderer.helm.sh~1postrender-filename"
    patch = {"patch": operation("replace", path, value=forged), "target": {"kind": "ConfigMap"}}
    after = await changed(rendered(chart(a=CONFIG_MAP)), {"patches": [patch]})
    assert [path for path, _ in sourced_objects(after.manifest)] == ["generated-by-postrender-0.yaml"]
    assert "annotations" not in after.objects[0]["metadata"]


def test_what_changes_the_objects_changes_the_digest() -> None:
    async def unloaded() -> Chart:
        raise AssertionError("a digest needs no chart")

    def digest(**spec: Any) -> str:
        return desired_release(
            helm_release(**spec), ChartArtifact("app", "1", "sha256:chart", unloaded), {"a": 1}
        ).digests.values

    image = [{"kustomize": {"images": [{"name": "a", "newTag": "1"}]}}]
    other = [{"kustomize": {"images": [{"name": "a", "newTag": "2"}]}}]
    different = [
        digest(),
        digest(postRenderers=image),
        digest(postRenderers=other),
        digest(postRenderers=image + other),
        digest(postRenderers=other + image),
        digest(postRenderers=image, postRenderStrategy="nohooks"),
        digest(postRenderers=image, commonMetadata={"labels": {"a": "b"}}),
    ]
    assert len(set(different)) == len(different)
    assert digest(postRenderers=[], postRenderStrategy="nohooks") == digest()
    assert digest(postRenderers=image, postRenderStrategy="combined", interval="1h") == digest(postRenderers=image)
