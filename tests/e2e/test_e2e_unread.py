"""Not read is not gone, and what people commit as they got it is applied: through a whole agent."""

from __future__ import annotations

import json

from tests.controlplane.cluster import Cli
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.manifests import config_map

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 88\n"
ENCRYPTED = "apiVersion: ENC[AES256_GCM,data:abc=]\nkind: ENC[AES256_GCM,data:abd=]\nsops: {version: 3.9.0, mac: x}\n"


def config_maps(kubectl: Cli, namespace: str) -> dict[str, dict[str, str]]:
    listed = json.loads(kubectl("get", "configmaps", "-n", namespace, "-o", "json"))["items"]
    found = {item["metadata"]["name"]: item.get("data", {}) for item in listed}
    found.pop("kube-root-ca.crt", None)
    return found


def test_manifests_that_are_still_in_git_in_another_guise_keep_what_they_held(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    names = ("lfs", "sops", "nohead", "gone", "stays-1", "stays-2", "stays-3")
    fleet.commit({f"{name}.yaml": config_map(namespace, name) for name in names}, "all well")
    agent.start().wait_for("sync finished")

    headless = config_map(namespace, "nohead").replace("apiVersion: v1\nkind: ConfigMap\n", "")
    changed: dict[str, str | None] = {"lfs.yaml": POINTER, "sops.yaml": ENCRYPTED, "nohead.yaml": headless}
    bad = fleet.commit({**changed, "gone.yaml": None}, "in another guise")
    finished = agent.wait_for("sync finished with failures", commit=bad[:7])

    said = {line.fields["file"].partition(":")[0]: line.fields["error"] for line in agent.said("file cannot be used")}
    assert set(said) == {"lfs.yaml", "sops.yaml", "nohead.yaml"}
    assert "Git LFS" in said["lfs.yaml"]
    assert "SOPS" in said["sops.yaml"]
    assert f"ConfigMap/{namespace}/nohead came from here" in said["nohead.yaml"]
    agent.wait_for("pruning is off for this commit", commit=bad[:7])
    assert finished.fields.items() >= {"deleted": 0, "failed": 3}.items()
    assert set(config_maps(kubectl, namespace)) == set(names)

    mended = fleet.commit({f"{name}.yaml": config_map(namespace, name) for name in ("lfs", "sops", "nohead")}, "well")
    assert agent.wait_for("sync finished", commit=mended[:7]).fields.items() >= {"deleted": 1, "failed": 0}.items()
    assert set(config_maps(kubectl, namespace)) == set(names) - {"gone"}


def test_objects_exported_from_a_cluster_are_applied_and_changed_with_a_warning_each(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    text = f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: exported
  namespace: {namespace}
  uid: 0d6e9a7e-9f57-4c7a-a2e5-3d1f5c7b8a10
  resourceVersion: "4711"
  creationTimestamp: "2024-01-05T10:11:12Z"
  managedFields:
  - {{apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {{"f:data": {{}}}}, manager: kubectl, operation: Update}}
data: {{a: "1"}}
"""
    fleet.commit({"all.yaml": text}, "exported")
    agent.start().wait_for("sync finished")
    warned = agent.said("manifest needs a look")
    assert [(line.fields["file"], line.fields["object"]) for line in warned] == [
        ("all.yaml:6:3", f"ConfigMap/{namespace}/exported")
    ]
    assert "metadata.resourceVersion" in warned[0].fields["warning"]

    changed = fleet.edit("all.yaml", 'a: "1"', 'a: "2"', "a change")
    assert agent.wait_for("sync finished", commit=changed[:7]).fields.items() >= {"changed": 1, "failed": 0}.items()
    assert config_maps(kubectl, namespace) == {"exported": {"a": "2"}}
    assert len(agent.said("manifest needs a look", commit=changed[:7])) == 1
