"""Values reach templates and records as helm's do, whatever YAML and JSON make of them on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from tests.parity.ahead import NewWorld, ahead
from tests.parity.world import World

VALUES: Mapping[str, dict[str, Any]] = {
    "none at all": {},
    "nulls that delete defaults": {"nested": {"removed": None, "deeper": {"one": None}}, "gone": None, "text": None},
    "nulls that delete nothing": {"new": None, "other": {"deep": {"er": None}}, "list": [None, {"a": None}]},
    "nested merges": {"nested": {"deeper": {"two": 22, "three": {"four": 4}}, "added": [1]}, "list": []},
    "a map in place of a scalar and the reverse": {"text": {"now": "a map"}, "nested": "no map any more"},
    "integers": {"list": [9007199254740993, -1, 0, 9223372036854775807, 10000000], "number": 4611686018427387905},
    "floats": {"list": [0.1, 1.0, 1e-9, 1e21, -2.5e10, 3.141592653589793], "number": 2.0},
    "unicode": {"text": "äöü ✓ 🚀 \u2028 <&> \" ' \\ \t", "ключ": "значение", "list": ["a\nb\n", "", " "]},
    "texts that look like something else": {
        "list": ["yes", "null", "~", "0644", "1e3", "2024-01-01", "{{ .Release.Name }}", "---", "0x1F", "1_000"]
    },
    "empty things": {"nested": {}, "list": [], "text": "", "number": 0, "gone": False},
    "global": {"global": {"a": {"b": 1}}},
}


def install(world: World, what: str) -> World:
    """Both sides install, with values that are a file to helm and JSON to the API server."""
    world.deploy("values", VALUES[what])
    world.install("values", VALUES[what])
    world.ready()
    return world


@pytest.fixture(scope="module")
def installed(new_world: NewWorld) -> Iterator[Mapping[str, Future[World]]]:
    with ahead(new_world, VALUES, install) as worlds:
        yield worlds


@pytest.mark.parametrize("what", VALUES)
def test_values_are_what_helm_makes_of_them(what: str, installed: Mapping[str, Future[World]]) -> None:
    world = installed[what].result()

    world.same_objects()
    world.same_records(1)


@pytest.mark.parametrize("what", ["nulls that delete nothing", "integers", "unicode"])
def test_helm_shows_values_as_it_shows_its_own(what: str, installed: Mapping[str, Future[World]]) -> None:
    world = installed[what].result()
    for flags in ((), ("--all",)):
        command = ("get", "values", "demo", *flags, "--namespace")
        assert world.helm(*command, world.ours) == world.helm(*command, world.theirs)


def test_large_integers_make_no_new_revision_of_helm_s_release(world: World) -> None:
    """helm rounds them in its record; what it meant is still what is wanted."""
    world.install("values", VALUES["integers"], namespace=world.ours)

    world.deploy("values", VALUES["integers"])
    world.ready()

    assert world.revisions() == [(1, "deployed")]


def test_values_of_an_upgrade_replace_those_before(installed: Mapping[str, Future[World]]) -> None:
    world = installed["nulls that delete defaults"].result()

    world.deploy("values", {"nested": {"kept": None}})
    world.upgrade("values", {"nested": {"kept": None}}, "--reset-values")
    world.ready()

    world.same_objects()
    world.same_records(2)
    shown = world.object("/api/v1", "configmaps", "demo")
    assert shown is not None
    nested = json.loads(shown["data"]["json"])["nested"]
    assert nested == {"removed": "by a null", "deeper": {"one": 1, "two": 2}}
