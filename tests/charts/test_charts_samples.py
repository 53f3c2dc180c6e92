from __future__ import annotations

from typing import Any

import pytest

from gitsync import kubeyaml
from gitsync.charts import Charts, ReleaseContext
from gitsync.charts.serve import files_below
from tests.charts.build import from_files
from tests.charts.cases import SAMPLES

FLEET = SAMPLES.parent / "fleet"


def manifests(kind: str) -> dict[str, dict[str, Any]]:
    read = [kubeyaml.load(path.read_text()) for path in sorted(FLEET.rglob("*.yaml"))]
    return {manifest["metadata"]["name"]: manifest for manifest in read if manifest["kind"] == kind}


def test_the_fleet_is_the_articles() -> None:
    releases, repositories = manifests("HelmRelease"), manifests("HelmRepository")

    assert set(repositories) == {"bitnami", "backend"}
    assert {name: release["spec"].get("dependsOn") for name, release in releases.items()} == {
        "redis": None,
        "backend": [{"name": "redis"}],
    }
    assert {release["spec"]["chart"]["spec"]["sourceRef"]["name"] for release in releases.values()} == set(repositories)
    assert {item["metadata"]["namespace"] for item in [*releases.values(), *repositories.values()]} == {"default"}


@pytest.mark.parametrize(
    ("name", "workload", "service"),
    [
        ("redis", "StatefulSet/redis-master", "redis-master"),
        ("backend", "Deployment/backend-podinfo", "backend-podinfo"),
    ],
)
async def test_the_sample_charts_are_what_the_fleet_asks_for(
    charts: Charts, name: str, workload: str, service: str
) -> None:
    spec = manifests("HelmRelease")[name]["spec"]
    wanted = spec["chart"]["spec"]

    chart = await from_files(charts, files_below(SAMPLES / wanted["chart"]), name)
    rendered = await charts.render(chart, spec["values"], ReleaseContext(name, "default"))

    assert (chart.name, chart.version) == (wanted["chart"], wanted["version"])
    found = {f"{item['kind']}/{item['metadata']['name']}": item for item in rendered.objects}
    assert workload in found
    assert f"Service/{service}" in found
    assert not any(key.startswith("Secret/") for key in found)
    if name == "backend":
        (container,) = found[workload]["spec"]["template"]["spec"]["containers"]
        assert "--cache-server=tcp://redis-master:6379" in container["command"]


async def test_redis_has_a_password_and_replicas_when_asked(charts: Charts) -> None:
    chart = await from_files(charts, files_below(SAMPLES / "redis"), "redis")
    values = {"architecture": "replication", "image": {"tag": "nonexistent-1"}}

    rendered = await charts.render(chart, values, ReleaseContext("cache", "default"))

    images = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]["image"]
        for item in rendered.objects
        if item["kind"] == "StatefulSet"
    }
    assert images == dict.fromkeys(
        ("cache-redis-master", "cache-redis-replicas"), "registry.example/redis:nonexistent-1"
    )
    assert [item["metadata"]["name"] for item in rendered.objects if item["kind"] == "Secret"] == ["cache-redis"]
