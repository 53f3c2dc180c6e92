"""gitsync takes over releases that helm installed: as they are where nothing differs, with a new revision otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest

from tests.controlplane.errors import CommandError
from tests.parity import live
from tests.parity.ahead import NewWorld, ahead
from tests.parity.world import Status, World

VALUES = {"text": "of the user"}
SAME: Mapping[str, dict[str, Any]] = {
    "plain": VALUES,
    "hooks": {},
    "lookup": {"other": "kube-root-ca.crt"},
    "random": {},
    "subcharts": {},
}
#: chart, values that helm installed it with, version and values that are wanted
DIFFERENT: Mapping[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "values that show": ("plain", {"text": "before"}, "", {"text": "after"}),
    "values that no template shows": ("plain", {}, "", {"unknown": 1}),
    "a chart that renders the same": ("keep", {}, "1.0.1", {}),
    "a hook": ("weights", {}, "1.0.0+hook", {}),
}


class TakenOver(NamedTuple):
    """A release before and after gitsync took it over as it was."""

    world: World
    before: tuple[Any, Any]
    after: tuple[Any, Any]
    status: Status


def take_over(world: World, chart: str) -> TakenOver:
    """helm installs, gitsync is asked for the same."""

    def state() -> tuple[Any, Any]:
        return live.objects(world.cluster, world.ours), live.stored(world.cluster, world.ours, "demo", 1)

    world.install(chart, SAME[chart], namespace=world.ours)
    before = state()
    world.deploy(chart, SAME[chart])
    status = world.ready()
    return TakenOver(world, before, state(), status)


@pytest.fixture(scope="module")
def taken_over(new_world: NewWorld) -> Iterator[Mapping[str, Future[TakenOver]]]:
    with ahead(new_world, SAME, take_over) as results:
        yield results


@pytest.mark.parametrize("chart", SAME)
def test_nothing_is_done_to_a_release_that_is_what_is_wanted(
    chart: str, taken_over: Mapping[str, Future[TakenOver]]
) -> None:
    world, before, after, status = taken_over[chart].result()

    assert world.revisions() == [(1, "deployed")]
    assert after == before
    assert "demo.v1" in next(item["message"] for item in status["conditions"] if item["type"] == "Ready")

    world.patch_spec(interval="2h")  # a later pass finds the note that it has been compared
    world.ready()
    assert world.revisions() == [(1, "deployed")]


def replace(world: World, what: str) -> World:
    """helm installs, gitsync is asked for something else."""
    chart, installed, version, wanted = DIFFERENT[what]
    world.install(chart, installed, namespace=world.ours)
    world.deploy(chart, wanted, version=version)
    world.ready()
    return world


@pytest.fixture(scope="module")
def replaced(new_world: NewWorld) -> Iterator[Mapping[str, Future[World]]]:
    with ahead(new_world, DIFFERENT, replace) as results:
        yield results


@pytest.mark.parametrize("what", DIFFERENT)
def test_whatever_differs_makes_a_new_revision(what: str, replaced: Mapping[str, Future[World]]) -> None:
    world = replaced[what].result()
    _, _, version, wanted = DIFFERENT[what]

    assert world.revisions() == [(1, "superseded"), (2, "deployed")]
    record = world.record(2)
    assert record.get("config", {}) == wanted
    assert record["info"]["description"] == "Upgrade complete"
    assert record["info"]["first_deployed"] == world.record(1)["info"]["first_deployed"]
    if version:
        assert record["chart"]["metadata"]["version"] == version


def test_a_release_whose_install_by_helm_failed_is_fixed(world: World) -> None:
    with pytest.raises(CommandError, match="a-none"):
        world.install("weights", {"failing": True}, namespace=world.ours)
    assert world.revisions() == [(1, "failed")]

    world.deploy("weights")
    world.ready()

    assert world.revisions()[-1] == (2, "deployed")
    assert world.object("/api/v1", "configmaps", "demo") is not None


def test_a_release_that_helm_kept_the_history_of_is_installed_anew(world: World) -> None:
    world.install("plain", namespace=world.ours)
    world.helm("uninstall", "demo", "--keep-history", "--namespace", world.ours)
    assert world.revisions() == [(1, "uninstalled")]

    world.deploy("plain", VALUES)
    world.ready()

    assert world.revisions()[-1] == (2, "deployed")
    shown = world.object("/api/v1", "configmaps", "demo-settings")
    assert shown is not None
    assert (shown["data"]["isInstall"], shown["data"]["isUpgrade"]) == ("true", "false")
