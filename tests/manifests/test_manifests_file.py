"""One file: its objects, their places, and its errors."""

from __future__ import annotations

import hashlib
import json

import pytest

from gitsync.api import HelmRelease, HelmRepository, ObjectKey
from gitsync.api.identity import Origin
from gitsync.manifests import FileContent, parse_file

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\n"
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: backend
spec:
  interval: 5m
  dependsOn:
    - name: redis
    - name: monitoring/prometheus
  chart:
    spec:
      chart: podinfo
      version: 6.2.2
      sourceRef: {kind: HelmRepository, name: podinfo}
  values:
    anything: {goes: here}
"""


def parse(text: str, path: str = "apps/a.yaml") -> FileContent:
    return parse_file(path, text.encode())


def errors(text: str) -> list[str]:
    return [str(error) for error in parse(text).errors]


def test_objects_come_with_key_place_and_digest() -> None:
    content = parse("# a comment\n---\n\n" + CONFIG_MAP.format("a") + "---\n" + RELEASE)
    assert content.errors == ()
    config_map, release = content.objects
    assert config_map.key == ObjectKey("", "ConfigMap", "", "a")
    assert config_map.origin == Origin("apps/a.yaml", 4, 1)
    assert config_map.manifest == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    canonical = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}'
    assert config_map.digest == hashlib.sha256(canonical.encode()).hexdigest()
    assert release.key == ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "backend")
    assert release.origin == Origin("apps/a.yaml", 9, 1)


def test_the_digest_depends_on_what_is_wanted_and_not_on_how_it_is_written() -> None:
    block = parse(CONFIG_MAP.format("a") + "data:\n  b: yes\n  a: 0644\n").objects[0]
    flow = parse("{metadata: {name: a}, data: {a: 420, b: true}, kind: ConfigMap, apiVersion: v1}").objects[0]
    other = parse(CONFIG_MAP.format("a") + 'data:\n  b: "yes"\n  a: 0644\n').objects[0]
    assert block.digest == flow.digest != other.digest


def test_kinds_of_our_own_get_the_default_namespace_and_others_do_not() -> None:
    repository = (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: r}\n"
        "spec: {url: https://charts.example, interval: 1m}\n"
    )
    content = parse_file("a.yaml", "---\n".join([RELEASE, repository, CONFIG_MAP.format("a")]).encode(), "apps")
    assert [item.key.namespace for item in content.objects] == ["apps", "apps", ""]
    assert [item.manifest["metadata"].get("namespace") for item in content.objects] == ["apps", "apps", None]
    release, source, _ = [item.model for item in content.objects]
    assert isinstance(release, HelmRelease)
    assert isinstance(source, HelmRepository)
    assert release.key.namespace == source.key.namespace == "apps"


def test_a_namespace_that_is_written_is_kept() -> None:
    release = parse(RELEASE.replace("name: backend", "name: backend\n  namespace: shop")).objects[0]
    assert release.key.namespace == "shop"


def test_fields_have_places() -> None:
    release = parse(CONFIG_MAP.format("a") + "---\n" + RELEASE).objects[1]
    assert release.field_origin(("spec", "dependsOn", 1)) == Origin("apps/a.yaml", 14, 7)
    assert release.field_origin(("spec", "dependsOn", 1, "name")) == Origin("apps/a.yaml", 14, 7)
    assert release.field_origin(("spec", "chart")) == Origin("apps/a.yaml", 15, 3)
    assert release.field_origin(("spec", "suspend")) == Origin("apps/a.yaml", 10, 1)


@pytest.mark.parametrize(
    "text",
    [
        "replicaCount: 3\nimage: {tag: x}\n",
        "kind: of blue\n",
        "apiVersion: v2\nname: chart\n",
        "- a\n- b\n",
        "just text\n",
        "# nothing\n",
        "",
        '{"name": "package", "version": "1.0.0"}',
        "apiVersion: ''\nkind: ''\n",
    ],
)
def test_files_that_are_no_manifests_are_passed_over(text: str) -> None:
    content = parse(text)
    assert (content.objects, content.errors, content.warnings) == ((), (), ())
    assert not any(part.suspect for part in content.unread)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("apiVersoin: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "1:1: apiVersion is missing (did you mean"),
        ("kind: ConfigMap\nmetadata: {name: a}\n", "1:1: apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}\n", "1:1: kind is missing"),
        ("apiVersion: 1\nkind: ConfigMap\nmetadata: {name: a}\n", "1:1: apiVersion is a number, not text"),
        ("apiVersion: v1\nkind: [a]\nmetadata: {name: a}\n", "2:1: kind is a list, not text"),
        ("apiVersion: v1/../x\nkind: ConfigMap\nmetadata: {name: a}\n", "1:1: apiVersion is not a name"),
        ("apiVersion: v1\nkind: Config/Map\nmetadata: {name: a}\n", "2:1: kind is not a name"),
        ("apiVersion: v1\nkind: ConfigMap\n", "1:1: metadata.name is missing"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: a\n", "3:1: metadata is text, not a mapping"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  labels: {}\n", "3:1: metadata.name is missing"),
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  generateName: a-\n",
            "4:3: metadata.name is missing (an object in Git needs a name of its own",
        ),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: 1\n", "4:3: metadata.name is a number, not text (quote it)"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: no\n", "4:3: metadata.name is a boolean, not text (quote it)"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: ../b\n", "4:3: metadata.name may not be"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: ..\n", "4:3: metadata.name may not be"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace: 1\n", "5:3: metadata.namespace is a number"),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  namespace: a/b\n", "5:3: metadata.namespace must be"),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations:\n    x/y: true\n",
            "6:5: metadata.annotations: the value of 'x/y' is a boolean, not text (quote it)",
        ),
        ("apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  labels: [a]\n", "5:3: metadata.labels is a list"),
    ],
)
def test_objects_that_cannot_be_identified_are_errors(text: str, message: str) -> None:
    content = parse(text)
    assert content.objects == ()
    assert str(content.errors[0]).startswith(f"apps/a.yaml:{message}"), content.errors[0]


def test_fields_of_our_own_kinds_are_checked_with_place_path_and_suggestion() -> None:
    content = parse(RELEASE.replace("dependsOn:", "dependOn:").replace("interval: 5m", "interval: 5 minutes"))
    assert content.objects == ()
    assert [error.field for error in content.errors] == ["spec.dependOn", "spec.interval"]
    near_miss, duration = content.errors
    assert near_miss.origin == Origin("apps/a.yaml", 7, 3)
    assert "dependsOn" in near_miss.message
    assert near_miss.key == ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "backend")
    assert duration.origin == Origin("apps/a.yaml", 6, 3)


def test_a_broken_release_leaves_the_rest_of_its_file_alone() -> None:
    content = parse(RELEASE.replace("interval: 5m", "intervall: 5m") + "---\n" + CONFIG_MAP.format("a"))
    assert [item.key.kind for item in content.objects] == ["ConfigMap"]
    assert {error.origin.line for error in content.errors} == {5, 6}


def test_a_document_that_cannot_be_read_holds_back_its_whole_file() -> None:
    text = "---\n".join([CONFIG_MAP.format("a"), "a: [\n", CONFIG_MAP.format("b"), "a: 1\na: 2\n"])
    content = parse(text)
    assert content.objects == ()
    assert [(error.origin.line, error.origin.column) for error in content.errors] == [(7, 1), (14, 1)]


def test_duplicate_keys_are_errors() -> None:
    assert errors(CONFIG_MAP.format("a") + "data:\n  a: 1\n  b: 2\n  a: 3\n") == [
        "apps/a.yaml:8:3: the key 'a' is given twice, first on line 6"
    ]


def test_a_file_of_errors_reports_a_hundred() -> None:
    content = parse("a: [\n---\n" * 5000)
    assert len(content.errors) == 101
    assert str(content.errors[-1]) == "apps/a.yaml: more errors than are shown here"


def test_an_object_larger_than_any_request_is_an_error() -> None:
    content = parse(CONFIG_MAP.format("a") + "data: {a: " + "x" * 4_000_000 + "}\n---\n" + CONFIG_MAP.format("b"))
    assert [item.key.name for item in content.objects] == ["b"]
    assert "3.8 MiB as JSON, over the API server's limit of 3 MiB" in str(content.errors[0])


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a: \x00", b"\x89PNG\r\n", b"a: \xc3"])
def test_binary_files_are_errors(data: bytes) -> None:
    content = parse_file("logo.yaml", data)
    assert content.objects == ()
    assert content.errors[0].origin.path == "logo.yaml"


def test_secrets_stay_out_of_errors_and_representations() -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: hunter2\n"
    assert "hunter2" not in repr(parse(secret))
    broken = [
        secret + "  password: hunter2\n",
        secret + " x: hunter2\n",
        secret + "  other: 'hunter2\n",
        secret.replace("name: s", "name: [hunter2]"),
        secret.replace("kind: Secret", "kind: [hunter2]"),
        secret.replace("name: s", "name: s\n  labels: {a: [hunter2]}"),
        secret.replace("hunter2", "!!int hunter2"),
        RELEASE.replace("goes: here", "goes: 'hunter2"),
        RELEASE.replace("interval: 5m", "interval: [hunter2]"),
    ]
    for text in broken:
        assert parse(text).errors
        assert "hunter2" not in repr(parse(text)) + " ".join(errors(text))


def test_lists_are_taken_apart_and_items_have_their_own_places() -> None:
    content = parse(
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: a\n"
        "- apiVersion: v1\n  kind: List\n  items:\n"
        "  - apiVersion: v1\n    kind: ConfigMap\n    metadata:\n      name: b\n"
        "- apiVersion: v1\n  kind: ConfigMapList\n  items: [{metadata: {name: c}}]\n"
    )
    assert [(item.key.name, item.origin.line, item.origin.column) for item in content.objects] == [
        ("a", 4, 3),
        ("b", 11, 5),
        ("c", 17, 11),
    ]
    assert content.objects[1].field_origin(("metadata", "name")) == Origin("apps/a.yaml", 14, 7)
    assert content.objects[2].key.kind == "ConfigMap"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("- just text\n", "4:3: an item of the list is no object"),
        ("- {a: b}\n", "4:3: an item of the list is no object"),
        ("- apiVersion: v1\n  kind: ConfigMap\n  metadata: {}\n", "6:3: metadata.name is missing"),
        ("- \n", "4:2: an item of the list is no object"),
    ],
)
def test_items_of_lists_that_are_no_objects_are_errors(items: str, message: str) -> None:
    content = parse("apiVersion: v1\nkind: List\nitems:\n" + items)
    assert [str(error) for error in content.errors] == [f"apps/a.yaml:{message}"]


def test_a_kind_that_ends_in_list_without_items_is_an_object() -> None:
    content = parse("apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {items: [1]}\n")
    assert [item.key.kind for item in content.objects] == ["AllowList"]


def test_json_files_are_read() -> None:
    objects = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in "ab"]
    content = parse_file("a.json", json.dumps(objects[0], indent=2).encode() + b"\n" + json.dumps(objects[1]).encode())
    assert [item.manifest for item in content.objects] == objects
    assert [item.origin.line for item in content.objects] == [1, 8]
    broken = parse_file("a.json", b'{"apiVersion": "v1",\n "kind" "ConfigMap"}')
    assert str(broken.errors[0]).startswith("a.json:2:9: not valid JSON: Expecting ':' delimiter")
