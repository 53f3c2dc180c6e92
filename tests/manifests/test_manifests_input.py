"""Manifests as people write them: exported from a cluster, encrypted, or written for Flux to fill in."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gitsync.api import ObjectKey
from gitsync.api.identity import Origin
from gitsync.manifests import FileContent, parse_file

RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: redis
spec:
  interval: 5m
  chart:
    spec:
      chart: redis
      version: 17.3.14
      sourceRef: {kind: HelmRepository, name: bitnami}
  values:
    host: ${HOST}
"""

# What `kubectl get -o yaml` prints, as it is committed.
EXPORTED = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: exported
  namespace: default
  uid: 0d6e9a7e-9f57-4c7a-a2e5-3d1f5c7b8a10
  resourceVersion: "4711"
  creationTimestamp: "2024-01-05T10:11:12Z"
  generation: 3
  managedFields:
  - {apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:data": {"f:a": {}}}, manager: kubectl, operation: Update}
data: {a: "1"}
---
apiVersion: v1
kind: Service
metadata:
  name: exported
  namespace: default
  creationTimestamp: null
  selfLink: /api/v1/namespaces/default/services/exported
spec:
  selector: {app: x}
  ports: [{port: 80, protocol: TCP, targetPort: 8080}]
  type: ClusterIP
status:
  loadBalancer: {ingress: [{ip: 192.0.2.1}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: exported-rv, namespace: default, resourceVersion: "4711"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: exported-uid, namespace: default, uid: 0d6e9a7e-9f57-4c7a-a2e5-3d1f5c7b8a11}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fine, namespace: default}
"""


def parse(text: str) -> FileContent:
    return parse_file("fleet/all.yaml", text.encode())


def errors(text: str) -> list[str]:
    return [str(error) for error in parse(text).errors]


def warnings(text: str) -> list[str]:
    return [f"{warning.origin}: {warning.message}" for warning in parse(text).warnings]


def metadata(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "default"}


def test_what_only_the_api_server_sets_is_left_out_of_exported_objects() -> None:
    content = parse(EXPORTED)
    assert content.errors == ()
    assert [item.manifest for item in content.objects] == [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("exported"), "data": {"a": "1"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata("exported"),
            "spec": {
                "selector": {"app": "x"},
                "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}],
                "type": "ClusterIP",
            },
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("exported-rv")},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("exported-uid")},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("fine")},
    ]


def test_each_exported_object_is_warned_of_once_at_its_first_field_with_all_of_them() -> None:
    said = "left out what only the API server sets:"
    assert warnings(EXPORTED) == [
        f"fleet/all.yaml:6:3: {said} metadata.creationTimestamp, metadata.generation, metadata.managedFields,"
        " metadata.resourceVersion, metadata.uid",
        f"fleet/all.yaml:20:3: {said} metadata.selfLink, status",
        f"fleet/all.yaml:30:51: {said} metadata.resourceVersion",
        f"fleet/all.yaml:34:52: {said} metadata.uid",
    ]
    assert parse(EXPORTED).warnings[0].key == ObjectKey("", "ConfigMap", "default", "exported")


def test_the_digest_of_an_exported_object_is_that_of_the_object() -> None:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"
    exported = head + "  uid: 0d6e9a7e\n  deletionTimestamp: '2024-01-05T10:11:12Z'\n  deletionGracePeriodSeconds: 30\n"
    assert parse(exported).objects[0].digest == parse(head).objects[0].digest


@pytest.mark.parametrize(
    "text",
    [
        "metadata: {name: a, creationTimestamp: null}\n",
        "metadata: {name: a, creationTimestamp: null, managedFields: [], resourceVersion: ''}\nstatus: {}\n",
        "metadata: {name: a}\nstatus:\n",
        "metadata: {name: a}\nstatus: {loadBalancer: {}}\n",
        "metadata: {name: a}\nstatus: {acceptedNames: {kind: '', plural: ''}, conditions: [], storedVersions: []}\n",
    ],
)
def test_the_empty_fields_of_generated_manifests_are_left_out_without_a_word(text: str) -> None:
    (item,) = parse("apiVersion: apps/v1\nkind: Deployment\n" + text).objects
    assert item.manifest == {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}
    assert warnings("apiVersion: apps/v1\nkind: Deployment\n" + text) == []


def test_fields_that_people_may_set_stay() -> None:
    text = """\
apiVersion: charts.example/v1
kind: Door
metadata:
  name: a
  generateName: a-
  finalizers: [charts.example/door]
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: b, uid: x}]
  annotations: {uid: x}
status: open
spec: {status: open, template: {metadata: {uid: x}}}
"""
    (item,) = parse(text).objects
    assert set(item.manifest["metadata"]) == {"name", "generateName", "finalizers", "ownerReferences", "annotations"}
    assert item.manifest["status"] == "open"
    assert item.manifest["spec"] == {"status": "open", "template": {"metadata": {"uid": "x"}}}
    assert warnings(text) == []


def test_an_exported_release_is_a_release() -> None:
    text = (
        RELEASE.replace("name: redis\n", "name: redis\n  uid: 0d6e9a7e\n", 1)
        + "status: {conditions: [], failures: 3}\n"
    )
    content = parse(text)
    assert ([item.key.name for item in content.objects], content.errors) == (["redis"], ())
    assert [warning.origin.line for warning in content.warnings] == [5]


def test_items_of_an_exported_list_are_warned_of_at_their_own_places() -> None:
    items = "".join(f"- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: {name}, uid: x}}\n" for name in "ab")
    text = f"apiVersion: v1\nkind: List\nmetadata:\n  resourceVersion: ''\nitems:\n{items}"
    assert [item.manifest["metadata"] for item in parse(text).objects] == [{"name": "a"}, {"name": "b"}]
    assert [(warning.origin.line, warning.origin.column) for warning in parse(text).warnings] == [(8, 23), (11, 23)]


def test_a_file_of_exported_objects_is_warned_of_a_hundred_times_and_read_in_time() -> None:
    shared = "a: &x {apiVersion: v1, kind: ConfigMap, metadata: {name: a, uid: x, resourceVersion: x, generation: 1}}\n"
    text = "apiVersion: v1\nkind: List\n" + shared + "items:\n" + "\n" * 4_000_000 + "- *x\n" * 10_000
    started = time.process_time()
    content = parse(text)
    assert time.process_time() - started < 10
    assert (len(content.objects), content.errors, len(content.warnings)) == (10_000, (), 101)
    assert not any("uid" in item.manifest["metadata"] for item in content.objects)
    assert (content.warnings[-1].origin, content.warnings[-1].key) == (Origin("fleet/all.yaml"), None)


ENCRYPTED = "encrypted with SOPS, and nothing decrypts it here"
SECRET = """\
apiVersion: v1
kind: Secret
metadata:
  name: login
  namespace: default
stringData:
  password: ENC[AES256_GCM,data:abc=,iv:x=,tag:y=,type:str]
sops:
  lastmodified: "2024-01-05T10:11:12Z"
  mac: ENC[AES256_GCM,data:abd=,iv:x=,tag:y=,type:str]
  version: 3.9.0
"""
WHOLLY = """\
apiVersion: ENC[AES256_GCM,data:abc=,iv:x=,tag:y=,type:str]
kind: ENC[AES256_GCM,data:abd=,iv:x=,tag:y=,type:str]
metadata:
  name: ENC[AES256_GCM,data:abe=,iv:x=,tag:y=,type:str]
sops: {version: 3.9.0, mac: "ENC[x]"}
"""


def test_a_document_encrypted_with_sops_is_an_error_of_its_own_and_never_an_object() -> None:
    content = parse("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n" + SECRET)
    assert [item.key.name for item in content.objects] == ["a"]
    (error,) = content.errors
    assert (error.origin, error.message) == (Origin("fleet/all.yaml", 5, 1), ENCRYPTED)
    assert error.key == ObjectKey("", "Secret", "default", "login")


@pytest.mark.parametrize(
    "text",
    [
        WHOLLY,
        WHOLLY.partition("sops")[0],
        WHOLLY.replace("kind: ENC[AES256_GCM,data:abd=,iv:x=,tag:y=,type:str]", "kind: Secret"),
    ],
)
def test_a_document_that_is_encrypted_as_a_whole_is_named_as_that(text: str) -> None:
    content = parse(text)
    assert content.objects == ()
    assert [(error.origin.line, error.message, error.key) for error in content.errors] == [(1, ENCRYPTED, None)]


def test_encrypted_values_that_are_no_object_are_passed_over() -> None:
    content = parse("password: ENC[AES256_GCM,data:abc=,type:str]\nsops: {mac: 'ENC[x]', version: 3.9.0}\n")
    assert (content.objects, content.errors) == ((), ())
    assert [part.reason for part in content.unread] == [f"a document without apiVersion and kind, {ENCRYPTED}"]


def test_an_object_whose_controller_decrypts_it_in_the_cluster_is_applied_encrypted() -> None:
    text = SECRET.replace("apiVersion: v1", "apiVersion: isindir.github.com/v1alpha3").replace(
        "kind: Secret", "kind: SopsSecret"
    )
    assert [item.key.kind for item in parse(text).objects] == ["SopsSecret"]


def test_a_sops_field_elsewhere_means_nothing() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {sops: '{}'}\n"
    assert [item.key.name for item in parse(text).objects] == ["a"]


def variable(name: str, field: str) -> str:
    return (
        f"{field}: `${{{name}}}` is a variable of Flux's postBuild substitution, which nothing here replaces"
        " (write the value itself, or give the Kustomization a postBuild)"
    )


@pytest.mark.parametrize(
    ("old", "new", "place", "name", "field"),
    [
        ("interval: 5m", "interval: ${INTERVAL}", "6:3", "INTERVAL", "spec.interval"),
        ("interval: 5m", "interval: ${INTERVAL:=5m}", "6:3", "INTERVAL", "spec.interval"),
        ("version: 17.3.14", "version: ${REDIS_VERSION}", "10:7", "REDIS_VERSION", "spec.chart.spec.version"),
        ("version: 17.3.14", "version: 17.${minor:-3}.14", "10:7", "minor", "spec.chart.spec.version"),
        ("interval: 5m", "interval: 5m\n  suspend: ${OFF}", "7:3", "OFF", "spec.suspend"),
        (
            "interval: 5m",
            "interval: 5m\n  dependsOn: [{name: '${CLUSTER}-db'}]",
            "7:16",
            "CLUSTER",
            "spec.dependsOn[0].name",
        ),
        ("name: redis", "name: redis\n  namespace: ${NAMESPACE}", "5:3", "NAMESPACE", "metadata.namespace"),
        ("name: redis\n", "name: ${CLUSTER_NAME}-redis\n", "4:3", "CLUSTER_NAME", "metadata.name"),
    ],
)
def test_variables_in_typed_fields_of_releases_are_named(old: str, new: str, place: str, name: str, field: str) -> None:
    (error,) = errors(RELEASE.replace(old, new, 1))
    assert error == f"fleet/all.yaml:{place}: {variable(name, field)}"


@pytest.mark.parametrize(
    ("text", "place", "name", "field"),
    [
        ("metadata: {name: '${APP}'}", "3:12", "APP", "metadata.name"),
        ("metadata: {name: a, namespace: '${NAMESPACE}'}", "3:21", "NAMESPACE", "metadata.namespace"),
        ("metadata: {name: a, labels: {cluster: '${CLUSTER}'}}", "3:30", "CLUSTER", "metadata.labels.cluster"),
    ],
)
def test_variables_in_what_identifies_any_object_are_named(text: str, place: str, name: str, field: str) -> None:
    assert errors(f"apiVersion: v1\nkind: ConfigMap\n{text}\n") == [f"fleet/all.yaml:{place}: {variable(name, field)}"]


def test_variables_where_they_may_be_meant_as_they_are_written_stay() -> None:
    script = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {a: '${B}'}}\ndata: {run.sh: 'cd ${HOME}'}\n"
    )
    assert [item.manifest["data"] for item in parse(script).objects] == [{"run.sh": "cd ${HOME}"}]
    (release,) = parse(RELEASE).objects
    assert release.manifest["spec"]["values"] == {"host": "${HOST}"}
    escaped = RELEASE.replace("name: redis\n", "name: redis\n  labels: {a: $${B}}\n", 1)
    assert "postBuild" not in " ".join(errors(escaped))


def test_variables_in_what_a_kustomization_puts_into_its_objects_stay_for_its_own_substitution() -> None:
    text = """\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  interval: 1h
  path: ./apps
  prune: true
  sourceRef: {kind: GitRepository, name: flux-system}
  images: [{name: web, newTag: "${TAG}"}]
  patches:
    - patch: '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"cluster": "${CLUSTER}"}}'
      target: {kind: ConfigMap}
  patchesStrategicMerge: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {b: "${B}"}}]
  postBuild: {substitute: {CLUSTER: "${OUTER}"}}
"""
    content = parse(text)
    assert content.errors == ()
    assert content.objects[0].manifest["spec"]["images"] == [{"name": "web", "newTag": "${TAG}"}]
    assert errors(text.replace("./apps", "./${DIR}")) == [f"fleet/all.yaml:6:3: {variable('DIR', 'spec.path')}"]


def test_a_release_with_a_variable_is_known_to_those_that_wait_for_it() -> None:
    (error,) = parse(RELEASE.replace("17.3.14", "${V}")).errors
    assert error.key == ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "default", "redis")


def test_an_object_that_lost_its_head_is_suspect_and_a_values_file_is_not() -> None:
    assert [part.suspect for part in parse("metadata: {name: a}\ndata: {}\n---\nmetadata: {}\n---\na: 1\n").unread] == [
        True,
        False,
        False,
    ]
