"""commonMetadata on a real cluster."""

from __future__ import annotations

from tests.parity.world import World


def test_every_object_has_it_helm_shows_it_and_a_change_of_it_upgrades(world: World) -> None:
    world.deploy("plain", commonMetadata={"labels": {"team": "a"}, "annotations": {"note": "x: y"}})
    world.ready()
    for plural, group in (("configmaps", "/api/v1"), ("deployments", "/apis/apps/v1"), ("services", "/api/v1")):
        found = world.cluster.request("GET", f"{group}/namespaces/{world.ours}/{plural}")["items"]
        ours = [item for item in found if (item["metadata"].get("labels") or {}).get("team") == "a"]
        assert ours, plural
        assert all(item["metadata"]["annotations"]["note"] == "x: y" for item in ours)
    assert "team: a" in world.helm("get", "manifest", world.name, "--namespace", world.ours)
    world.patch_spec(commonMetadata={"labels": {"team": "b"}})
    world.ready()
    assert world.revisions() == [(1, "superseded"), (2, "deployed")]
    world.patch_spec(interval="2h")
    world.ready()
    assert len(world.revisions()) == 2
