"""``gitsync diff`` and ``gitsync verify --base`` of commits that move objects, or leave some behind."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Gitsync
from tests.e2e.harness import Fleet
from tests.e2e.manifests import config_map
from tests.e2e.mapcharts import CHART, GONE, release

DISABLED = "{gitsync.dev/prune: disabled}"


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    made = Fleet(tmp_path / "fleet")
    made.commit(
        {
            **CHART,
            "fleet/plain.yaml": config_map("apps", "plain"),
            "fleet/stays.yaml": config_map("apps", "stays", annotations=DISABLED),
            "fleet/a.yaml": release("apps", "a", "one"),
            "fleet/b.yaml": release("apps", "b"),
        },
        "first",
    )
    return made


@pytest.fixture
def diff(without_cluster: Gitsync) -> Gitsync:
    return partial(without_cluster, "diff", "HEAD~1", "--path=fleet", "--name=fleet")


MOVED: dict[str, str | None] = {
    "fleet/plain.yaml": config_map("apps", "one"),
    "fleet/stays.yaml": GONE,
    "fleet/a.yaml": release("apps", "a", "plain"),
}


def test_a_move_is_shown_as_one_and_what_stays_as_that(diff: Gitsync, fleet: Fleet) -> None:
    fleet.commit(MOVED, "swapped")

    said = diff()
    assert said.code == 2, said.err
    assert "> hand over ConfigMap/apps/plain to HelmRelease/apps/a (fleet/plain.yaml:1:1)\n" in said.out
    assert "> hand over ConfigMap/apps/one to sync/gitsync-system/fleet (release apps/a)\n" in said.out
    assert "-  text: x" in said.out, "what the move changes about the object"
    assert "= keep ConfigMap/apps/stays (fleet/stays.yaml:1:1, its prune annotation says disabled)\n" in said.out
    assert "delete" not in said.out
    assert "create" not in said.out
    assert "1 changed, 2 handed over, 1 kept, " in said.out

    data = json.loads(diff("-o", "json").out)
    moves = {item["name"]: item["to"] for item in data["objects"] if item["action"] == "hand over"}
    assert moves == {"plain": "HelmRelease/apps/a", "one": "sync/gitsync-system/fleet"}


def test_a_renamed_release_hands_its_objects_over(diff: Gitsync, fleet: Fleet) -> None:
    fleet.commit({"fleet/b.yaml": GONE, "fleet/c.yaml": release("apps", "c").replace("c-own", "b-own")}, "renamed")
    said = diff()
    assert "> hand over ConfigMap/apps/b-own to HelmRelease/apps/c (release apps/b)\n" in said.out
    assert "- delete HelmRelease/apps/b" in said.out
    assert "delete ConfigMap" not in said.out


@pytest.mark.parametrize(("event", "action"), [("post-upgrade", "hand over"), ("post-delete", "delete")])
def test_what_becomes_a_hook_is_handed_over_when_that_runs(
    diff: Gitsync, fleet: Fleet, event: str, action: str
) -> None:
    hook = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: plain, annotations: {{helm.sh/hook: {event}}}}}\n"
    fleet.commit({"charts/maps/templates/hook.yaml": hook, "fleet/plain.yaml": GONE}, "into a hook")
    data = json.loads(diff("-o", "json").out)
    (found,) = [item for item in data["objects"] if item["name"] == "plain" and not item["release"]]
    assert found["action"] == action


def test_what_stays_alone_is_no_difference(diff: Gitsync, fleet: Fleet) -> None:
    fleet.commit({"fleet/stays.yaml": GONE}, "left behind")
    said = diff()
    assert said.code == 0
    assert "1 kept" in said.out


def test_what_a_release_may_want_that_cannot_be_rendered_is_kept(diff: Gitsync, fleet: Fleet) -> None:
    broken = release("apps", "a", "plain", broken="one")
    fleet.commit({"fleet/plain.yaml": GONE, "fleet/b.yaml": GONE, "fleet/a.yaml": broken}, "broken")
    said = diff()
    assert said.code == 1
    assert "delete" not in said.out
    for name in ("ConfigMap/apps/plain", "HelmRelease/apps/b", "ConfigMap/apps/b-own"):
        assert f"= keep {name} (" in said.out
    assert "HelmRelease/apps/a may want it: " in said.out


def test_what_verify_adds_of_the_difference_knows_moves_too(without_cluster: Gitsync, fleet: Fleet) -> None:
    fleet.commit(MOVED, "swapped")
    said = without_cluster("verify", "HEAD", "--base", "HEAD~1", "--path=fleet", "-o", "markdown")
    assert said.code == 0, said.out
    assert "> hand over ConfigMap/apps/plain to HelmRelease/apps/a (fleet/plain.yaml:1:1)\n" in said.out
    assert "<summary>3 objects change</summary>" in said.out
