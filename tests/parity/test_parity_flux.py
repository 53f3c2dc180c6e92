"""gitsync takes over what Flux's helm-controller installed, with the labels and the field manager that it leaves."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from gitsync.api.identity import Manifest
from gitsync.charts import parse_objects
from gitsync.diff import yaml_lines
from tests.parity.looking import lines
from tests.parity.world import World

LABELS = {"helm.toolkit.fluxcd.io/name": "demo", "helm.toolkit.fluxcd.io/namespace": "NS"}
CONTROLLER = "helm-controller"
CONFIG_MAP = ("/api/v1", "configmaps", "demo-settings")


def as_flux_leaves_it(world: World) -> None:
    """Make of helm's install what Flux's is: rendered text written anew with its labels, its name as field manager."""
    path = f"/api/v1/namespaces/{world.ours}/secrets/sh.helm.release.v1.demo.v1"
    secret = world.cluster.request("GET", path)
    body: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    objects = [labelled(item, world.ours) for item in parse_objects(body["manifest"])]
    body["manifest"] = "".join("\n".join(["---", *yaml_lines(item), ""]) for item in objects)
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(body).encode()))).decode()
    world.cluster.request("PUT", path, secret | {"data": {"release": packed}})
    group, plural, name = CONFIG_MAP
    live = world.object(group, plural, name)
    assert live is not None
    for entry in live["metadata"]["managedFields"]:
        entry["manager"] = CONTROLLER
        entry["fieldsV1"]["f:metadata"].setdefault("f:labels", {}).update({f"f:{label}": {} for label in LABELS})
    place = f"{group}/namespaces/{world.ours}/{plural}/{name}?fieldManager={CONTROLLER}"
    world.cluster.request("PUT", place, labelled(live, world.ours))


def labelled(manifest: Manifest, namespace: str) -> Manifest:
    labels = {name: value.replace("NS", namespace) for name, value in LABELS.items()}
    metadata = manifest["metadata"]
    return {**manifest, "metadata": metadata | {"labels": {**(metadata.get("labels") or {}), **labels}}}


def test_a_release_of_flux_is_taken_over_without_a_new_revision_and_its_fields_with_the_next(world: World) -> None:
    world.install("plain", {"text": "of the user"}, namespace=world.ours)
    as_flux_leaves_it(world)
    before = world.object(*CONFIG_MAP)
    assert before is not None

    world.deploy("plain", {"text": "of the user"})
    world.ready()

    assert world.revisions() == [(1, "deployed")]
    assert world.object(*CONFIG_MAP) == before, "nothing was done to it"

    world.deploy("plain", {"text": "changed"})
    world.condition("Ready", "True", "demo.v2")
    after = world.object(*CONFIG_MAP)
    assert after is not None
    assert not LABELS.keys() & after["metadata"]["labels"].keys(), "Flux's labels go with its ownership"
    assert CONTROLLER not in {entry["manager"] for entry in after["metadata"]["managedFields"]}


def test_what_flux_remembers_of_a_release_is_not_taken_for_somebody_s_change(world: World) -> None:
    world.install("plain", {"text": "of the user"}, namespace=world.ours)
    world.deploy("plain", {"text": "of the user"}, suspend=True)
    manifest = world.helm_release()
    snapshot = {"name": "demo", "namespace": world.ours, "version": 1, "status": "deployed", "digest": "sha256:flux"}
    chart = {"chartName": "plain", "chartVersion": "1.2.3", "configDigest": "sha256:flux"}
    times = dict.fromkeys(("firstDeployed", "lastDeployed"), "2026-01-01T00:00:00Z")
    manifest["status"] = {"storageNamespace": world.ours, "history": [{**snapshot, **chart, **times}]}
    place = f"/apis/helm.toolkit.fluxcd.io/v2/namespaces/{world.ours}/helmreleases/demo/status"
    world.cluster.request("PUT", place, manifest)

    world.patch_spec(suspend=False)
    status = world.ready()

    assert world.revisions() == [(1, "deployed")]
    assert status["history"][0]["apiVersion"] == "gitsync.dev/v1", "from now on a rollback may go there"
    assert not lines(world, "release was changed by somebody else")


def test_a_release_of_flux_that_differs_gets_a_new_revision(world: World) -> None:
    world.install("plain", {"text": "before"}, namespace=world.ours)
    as_flux_leaves_it(world)

    world.deploy("plain", {"text": "after"})
    world.condition("Ready", "True", "demo.v2")

    assert world.revisions() == [(1, "superseded"), (2, "deployed")]
