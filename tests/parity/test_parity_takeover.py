"""gitsync takes over releases that helm installed: as they are where nothing differs, with a new revision otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parity import live
from tests.parity.world import World

VALUES = {"text": "of the user"}


@pytest.mark.parametrize(
    ("chart", "values"),
    [("plain", VALUES), ("hooks", {}), ("lookup", {"other": "kube-root-ca.crt"}), ("random", {}), ("subcharts", {})],
)
def test_nothing_is_done_to_a_release_that_is_what_is_wanted(chart: str, values: dict[str, Any], world: World) -> None:
    world.install(chart, values, namespace=world.ours)
    before = live.objects(world.cluster, world.ours)
    stored = live.stored(world.cluster, world.ours, "demo", 1)

    world.deploy(chart, values)
    status = world.ready()

    assert world.revisions() == [(1, "deployed")]
    assert live.objects(world.cluster, world.ours) == before
    assert live.stored(world.cluster, world.ours, "demo", 1) == stored
    assert "demo.v1" in next(item["message"] for item in status["conditions"] if item["type"] == "Ready")

    world.patch_spec(interval="2h")  # a later pass finds the note that it has been compared
    world.ready()
    assert world.revisions() == [(1, "deployed")]


@pytest.mark.parametrize(
    ("what", "chart", "installed", "version", "wanted"),
    [
        ("values that show", "plain", {"text": "before"}, "", {"text": "after"}),
        ("values that no template shows", "plain", {}, "", {"unknown": 1}),
        ("a chart that renders the same", "keep", {}, "1.0.1", {}),
        ("a hook", "weights", {"policies": {"first": "hook-failed"}}, "", {"policies": {}}),
    ],
)
def test_whatever_differs_makes_a_new_revision(
    what: str, chart: str, installed: dict[str, Any], version: str, wanted: dict[str, Any], world: World
) -> None:
    world.install(chart, installed, namespace=world.ours)

    world.deploy(chart, wanted, version=version)
    world.ready()

    assert world.revisions() == [(1, "superseded"), (2, "deployed")], what
    record = world.record(2)
    assert record.get("config", {}) == wanted
    assert record["info"]["description"] == "Upgrade complete"
    assert record["info"]["first_deployed"] == world.record(1)["info"]["first_deployed"]
    if version:
        assert record["chart"]["metadata"]["version"] == version


def test_a_release_whose_install_by_helm_failed_is_mended(world: World) -> None:
    with pytest.raises(Exception, match="demo"):
        world.install("weights", {"failing": True}, namespace=world.ours)
    assert world.revisions() == [(1, "failed")]

    world.deploy("weights")
    world.ready()

    assert world.revisions()[-1] == (2, "deployed")
    assert world.object("/api/v1", "configmaps", "demo") is not None


def test_a_release_that_helm_kept_the_history_of_is_installed_anew(world: World) -> None:
    world.install("plain", namespace=world.ours)
    world.helm("uninstall", "demo", "--keep-history", "--namespace", world.ours)
    world.install("plain", {"text": "again"}, "--replace")  # what helm makes of it, in the other namespace
    assert world.revisions() == [(1, "uninstalled")]

    world.deploy("plain", VALUES)
    world.ready()

    assert world.revisions()[-1] == (2, "deployed")
    shown = world.object("/api/v1", "configmaps", "demo-settings")
    assert shown is not None
    assert (shown["data"]["isInstall"], shown["data"]["isUpgrade"]) == ("true", "false")
