"""Values out of ConfigMaps and Secrets on a real cluster: what helm would have, and at once when they change."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.parity.world import World

BASE = "nested: {from: file, list: [1, 2]}\nreplicas: 1\nlist: [7]\n"
SECRET = "hunter2"


def put(world: World, kind: str, name: str, data: dict[str, str]) -> None:
    """Create or replace a ConfigMap or Secret in gitsync's namespace."""
    plural = f"{kind.lower()}s"
    field = "stringData" if kind == "Secret" else "data"
    body: dict[str, Any] = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: data}
    place = f"/api/v1/namespaces/{world.ours}/{plural}"
    if world.object("/api/v1", plural, name) is None:
        world.cluster.request("POST", place, body)
    else:
        world.cluster.request("PUT", f"{place}/{name}", body)


def get_values(world: World, namespace: str) -> Any:
    return json.loads(world.helm("get", "values", world.name, "--namespace", namespace, "--output", "json"))


def test_helm_get_values_is_what_helm_itself_makes_of_the_same_flags(world: World) -> None:
    put(world, "ConfigMap", "base", {"values.yaml": BASE, "more": "nested: {from: more, deep: {a: 1}}"})
    put(world, "Secret", "token", {"token": "first,second"})
    references = [
        {"kind": "ConfigMap", "name": "base"},
        {"kind": "ConfigMap", "name": "base", "valuesKey": "more"},
        {"kind": "Secret", "name": "token", "valuesKey": "token", "targetPath": "nested.list[1]", "literal": True},
        {"kind": "ConfigMap", "name": "absent", "optional": True},
    ]
    world.deploy("plain", valuesFrom=references)
    files = []
    for number, text in enumerate((BASE, "nested: {from: more, deep: {a: 1}}")):
        file = world.scratch / f"from-{number}.yaml"
        file.write_text(text)
        files += ["--values", str(file)]
    world.install("plain", None, *files, "--set-literal", "nested.list[1]=first,second")
    world.ready()
    assert get_values(world, world.ours) == get_values(world, world.theirs)
    world.same_records(1)


def test_a_missing_reference_is_named_and_its_coming_heals_at_once(world: World) -> None:
    world.deploy("plain", valuesFrom=[{"kind": "Secret", "name": "late"}])
    status = world.condition("Ready", "False", f"Secret '{world.ours}/late' key 'values.yaml' does not exist")
    assert [item["reason"] for item in status["conditions"] if item["type"] == "Ready"] == ["ValuesError"]
    put(world, "Secret", "late", {"other": "replicas: 2"})
    time.sleep(0.2)  # time in which it could be installed: a pass that is held back again says nothing
    assert world.revisions() == []
    started = time.monotonic()
    put(world, "Secret", "late", {"values.yaml": f"text: {SECRET}"})
    world.ready()
    assert time.monotonic() - started < 60
    assert get_values(world, world.ours) == {"text": SECRET}
    assert not world.helm_release()["status"].get("failures")


def test_a_change_of_what_is_referred_to_upgrades_at_once_and_of_nothing_else(world: World) -> None:
    put(world, "ConfigMap", "base", {"values.yaml": "text: one", "unused": "1"})
    world.deploy("plain", valuesFrom=[{"kind": "ConfigMap", "name": "base"}])
    world.ready()
    put(world, "ConfigMap", "other", {"values.yaml": "text: other"})
    put(world, "ConfigMap", "base", {"values.yaml": "text: one", "unused": "2"})
    put(world, "ConfigMap", "base", {"values.yaml": "text: two", "unused": "2"})
    world.until(lambda: len(world.revisions()) == 2, "the release was upgraded")
    world.until(lambda: world.revisions()[-1] == (2, "deployed"), "the upgrade has ended")
    assert get_values(world, world.ours) == {"text": "two"}


def test_a_fix_in_a_config_map_ends_the_wait_for_what_it_fixes(world: World) -> None:
    put(world, "ConfigMap", "image", {"image": "registry.example/app:nonexistent"})
    world.deploy(
        "plain",
        valuesFrom=[{"kind": "ConfigMap", "name": "image", "valuesKey": "image", "targetPath": "image"}],
        timeout="5m",
    )
    world.until(lambda: world.revisions() == [(1, "pending-install")], "the install is under way")
    put(world, "ConfigMap", "image", {"image": "registry.example/app:2.0"})
    world.ready()


def test_no_secret_shows_in_what_goes_wrong_with_it(world: World) -> None:
    first = len(world.serving.lines)
    put(world, "Secret", "login", {"values.yaml": f"replicas: [{SECRET}"})
    world.deploy("schema", valuesFrom=[{"kind": "Secret", "name": "login"}])
    world.condition("Ready", "False", "holds no YAML mapping")
    put(world, "Secret", "login", {"values.yaml": f"replicas: {SECRET}"})
    world.condition("Ready", "False", "replicas")
    said = json.dumps([world.helm_release()["status"], world.serving.lines[first:]], default=str)
    assert SECRET not in said


def test_no_secret_shows_in_what_the_api_server_says_of_it(world: World) -> None:
    first = len(world.serving.lines)
    put(world, "Secret", "port", {"port": f"No-{SECRET}"})
    reference = {"kind": "Secret", "name": "port", "valuesKey": "port", "targetPath": "ports.http"}
    world.deploy("plain", valuesFrom=[reference])
    world.condition("Ready", "False", "spec.ports[0].targetPort")
    events = world.cluster.request("GET", f"/api/v1/namespaces/{world.ours}/events")["items"]
    said = json.dumps([world.helm_release()["status"], events, world.serving.lines[first:]], default=str)
    assert SECRET not in said
