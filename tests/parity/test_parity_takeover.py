"""gitsync takes over releases that helm installed: as they are where nothing differs, with a new revision otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.apply.writers import FULL, SMALL, WRITERS, Writing, config_map, objects, secret, written
from tests.controlplane.cluster import Cli, Cluster
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


@pytest.fixture(scope="module")
def dropped(
    new_world: NewWorld, control_plane: Cluster, kubectl: Cli, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, list[Mapping[str, object]]]]:
    """What other tools wrote, once a chart has taken it over as it is, and once it has dropped some of it."""
    with new_world() as world:
        by_how = written(control_plane, kubectl, world.ours, tmp_path_factory.mktemp("written"))
        shown: dict[str, list[Mapping[str, object]]] = {how: [] for how in by_how}
        for full in (True, False):
            items = [objects(each.name, world.ours, full=full, idle=True) for each in by_how.values()]
            world.deploy("raw", {"objects": [item for both in items for item in both]})
            world.ready()
            for how, each in by_how.items():
                shown[how].append(each.shown())
        yield shown


@pytest.mark.parametrize("how", WRITERS)
def test_what_a_chart_takes_over_and_drops_goes_whoever_wrote_it_first(
    how: str, dropped: Mapping[str, list[Mapping[str, object]]]
) -> None:
    assert dropped[how] == [FULL, SMALL]


def test_what_a_tool_declared_and_the_chart_never_had_goes(
    world: World, control_plane: Cluster, kubectl: Cli, tmp_path: Path
) -> None:
    """Also where the API server refuses the chart's object as long as the tool has its fields."""
    writing = Writing(control_plane, kubectl, world.ours, "web", tmp_path, idle=True)
    writing("apply", "-f", writing.full)
    config_map, web, _ = objects("web", world.ours, full=False, idle=True)
    source = {"fieldRef": {"fieldPath": "metadata.name"}}
    web["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "MODE", "valueFrom": source}]

    world.deploy("raw", {"objects": [config_map, web, secret("web", world.ours, full=False)]})
    world.ready()

    assert writing.shown() == SMALL


def test_fields_that_others_share_with_a_chart_stay_theirs(
    world: World, control_plane: Cluster, kubectl: Cli, tmp_path: Path
) -> None:
    writing = Writing(control_plane, kubectl, world.ours, "web", tmp_path)
    writing("apply", "-f", writing.full)
    writing("scale", "deployment", "web", "--replicas=2")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "proxy", "image": "registry.example/proxy:1"}]}}}}
    writing("patch", "deployment", "web", "--field-manager=injector", f"--patch={json.dumps(sidecar)}")

    for text in ("1", "2"):
        config_map, web, _ = objects("web", world.ours, full=False)
        world.deploy(
            "raw", {"objects": [config_map | {"data": {"keep": text}}, web, secret("web", world.ours, full=False)]}
        )
        world.ready()

    assert writing.shown() == {**SMALL, "data": {"keep": "2"}, "containers": ["proxy", "web"]}
    live_web = world.object("/apis/apps/v1", "deployments", "web")
    assert live_web is not None
    assert live_web["spec"]["replicas"] == 2


MARKS = {"gitsync.dev/owner": "mark", "gitsync.dev/commit": "c" * 40, "gitsync.dev/origin": "web.yaml:1:1"}


@pytest.mark.parametrize("way", ["enabled", "disabled"])
def test_a_sync_s_marks_go_from_an_object_that_comes_into_a_chart(way: str, world: World, kubectl: Cli) -> None:
    manifest = config_map("web", world.ours, full=True)
    manifest["metadata"]["annotations"] |= MARKS
    manifest["metadata"]["labels"] |= {"gitsync.dev/sync": "prod"}
    kubectl("apply", "--server-side", "--field-manager=gitsync", "-f", "-", stdin=json.dumps(manifest))
    before = world.object("/api/v1", "configmaps", "web")

    wanted = config_map("web", world.ours, full=False)
    world.deploy("raw", {"objects": [wanted]}, install={"serverSideApply": way == "enabled"})
    world.ready()

    after = world.object("/api/v1", "configmaps", "web")
    assert before is not None
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    left = [name for field in ("annotations", "labels") for name in after["metadata"][field] if "gitsync" in name]
    assert left == ["gitsync.dev/taken-over-by"]  # the release's own note, until the next revision
    assert after["metadata"]["annotations"]["meta.helm.sh/release-name"] == "demo"

    world.patch_spec(values={"objects": [wanted, config_map("more", world.ours, full=False)]})
    world.ready()
    after = world.object("/api/v1", "configmaps", "web")
    assert after is not None
    assert "gitsync.dev/taken-over-by" not in after["metadata"]["annotations"]


def test_a_field_that_somebody_adds_is_no_drift_and_goes_with_the_next_upgrade(
    world: World, control_plane: Cluster, kubectl: Cli, tmp_path: Path
) -> None:
    writing = Writing(control_plane, kubectl, world.ours, "web", tmp_path, idle=True)
    world.deploy(
        "raw", {"objects": objects("web", world.ours, full=False, idle=True)}, driftDetection={"mode": "enabled"}
    )
    world.ready()

    writing.edit()
    world.patch_spec(interval="2h")  # a pass that looks at it
    world.ready()
    assert writing.shown() == FULL, "what somebody added beside the chart"
    assert not [line for line in world.serving.lines if line["event"] == "drift corrected" and world.ours in str(line)]

    wanted = objects("web", world.ours, full=False, idle=True)
    wanted[1]["metadata"]["labels"] = {"new": "1"}
    world.deploy("raw", {"objects": wanted}, driftDetection={"mode": "enabled"})
    world.condition("Ready", "True", "demo.v2")
    assert writing.shown() == SMALL
