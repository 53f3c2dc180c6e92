"""upgrade.preserveValues on a real cluster: what ``helm upgrade --reuse-values`` does."""

from __future__ import annotations

import pytest

from tests.parity.world import World


def test_an_upgrade_starts_from_what_the_last_revision_had(world: World) -> None:
    first = {"text": "first", "nested": {"kept": "mine", "added": 1}, "list": [9]}
    second = {"nested": {"added": None, "more": 2}, "list": None, "unset": "set"}
    world.deploy("plain", first)
    world.install("plain", first)
    world.ready()
    world.deploy("plain", second, upgrade={"preserveValues": True})
    world.upgrade("plain", second, "--reuse-values")
    world.ready()
    world.same_objects()
    world.same_records(2)
    world.patch_spec(interval="2h")
    world.ready()
    assert len(world.revisions()) == 2


@pytest.mark.parametrize("values", [{}, {"cache": {"size": 3}}], ids=["none", "some"])
def test_subcharts_keep_their_values_too(world: World, values: dict[str, object]) -> None:
    first = {"sessions": {"enabled": True}, "global": {"environment": "all"}}
    world.deploy("subcharts", first)
    world.install("subcharts", first)
    world.ready()
    world.deploy("subcharts", values, upgrade={"preserveValues": True})
    world.upgrade("subcharts", values, "--reuse-values")
    world.until(lambda: len(world.revisions()) == 2, "the release was upgraded")
    world.ready()
    world.same_objects()
    world.same_records(2)
