"""What moves, and is moved back by the next commit, a moment later: the same objects as before."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.belonging import belonging_to, plain
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import CHART, Moved, both, box, finished

#: Seconds between the two commits: what the first one does is then begun, half done, or over.
MOMENTS = (0.05, 0.3, 0.8, 1.5)
ENDED = re.compile("sync finished|commit changes nothing|commit is for its Kustomizations")
NOTHING = "# nothing here\n"


class Shape(NamedTuple):
    """Where the objects are, and where they go; and whose they are here: a sync's, or a release's."""

    here: dict[str, str]
    there: dict[str, str]
    owner: str


def from_a_kustomization_that_goes(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, plain(moved))
    return Shape(here, there | {"clusters/a.yaml": NOTHING}, "a")


def from_a_kustomization_that_stays(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    return Shape(*_directories(namespace, plain(moved)), "a")


def from_a_kustomization_that_gets_another_directory(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, plain(moved))
    other = {"c/own.yaml": config_map(namespace, "a-own")}
    return Shape(here | other, there | {"clusters/a.yaml": kustomization(namespace, "a", "./c")}, "a")


def from_a_nested_kustomization_that_goes(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, plain(moved))
    parent = {"clusters/parent.yaml": kustomization(namespace, "parent", "./parent"), "clusters/a.yaml": NOTHING}
    own = {"parent/own.yaml": config_map(namespace, "parent-own")}
    inside = {"parent/a.yaml": here["clusters/a.yaml"]}
    return Shape(here | parent | own | inside, there | parent | {"parent/a.yaml": NOTHING}, "a")


def from_the_root(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, plain(moved))
    nothing = {"a/moves.yaml": NOTHING}
    return Shape(here | nothing | {"clusters/moves.yaml": plain(moved)}, there | {"clusters/moves.yaml": NOTHING}, "")


def from_a_kustomization_to_a_release(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, plain(moved))
    before, after = {**CHART, "clusters/r.yaml": box(namespace, "r")}, {"clusters/r.yaml": box(namespace, "r", moved)}
    return Shape(here | before, there | {"b/moves.yaml": NOTHING} | after, "a")


def from_a_release_that_goes(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here = {**CHART, "clusters/a.yaml": box(namespace, "a", moved), "clusters/b.yaml": box(namespace, "b")}
    return Shape(here, {"clusters/a.yaml": NOTHING, "clusters/b.yaml": box(namespace, "b", moved)}, "a")


def from_a_release_that_goes_to_git(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here = {**CHART, "clusters/a.yaml": box(namespace, "a", moved), "clusters/moves.yaml": NOTHING}
    return Shape(here, {"clusters/a.yaml": NOTHING, "clusters/moves.yaml": plain(moved)}, "a")


def from_a_release_that_goes_to_a_kustomization(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, plain(moved))
    release = {**CHART, "clusters/a.yaml": box(namespace, "a", moved), "a/moves.yaml": NOTHING}
    return Shape(here | release, there | {"clusters/a.yaml": NOTHING}, "a")


def from_a_release_in_a_kustomization_that_goes(namespace: str, moved: tuple[Moved, ...]) -> Shape:
    here, there = _directories(namespace, box(namespace, "r", moved))
    return Shape(here | CHART, there | {"clusters/a.yaml": NOTHING}, "r")


def _directories(namespace: str, files: str) -> tuple[dict[str, str], dict[str, str]]:
    here = {
        "clusters/a.yaml": kustomization(namespace, "a", "./a"),
        "clusters/b.yaml": kustomization(namespace, "b", "./b"),
        "a/own.yaml": config_map(namespace, "a-own"),
        "b/own.yaml": config_map(namespace, "b-own"),
        "a/moves.yaml": files,
        "b/moves.yaml": NOTHING,
    }
    return here, {"a/moves.yaml": NOTHING, "b/moves.yaml": files}


SHAPES: list[Callable[[str, tuple[Moved, ...]], Shape]] = [
    from_a_kustomization_that_goes,
    from_a_kustomization_that_stays,
    from_a_kustomization_that_gets_another_directory,
    from_a_nested_kustomization_that_goes,
    from_the_root,
    from_a_kustomization_to_a_release,
    from_a_release_that_goes,
    from_a_release_that_goes_to_git,
    from_a_release_that_goes_to_a_kustomization,
    from_a_release_in_a_kustomization_that_goes,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_there_and_back(
    new_agent: NewAgent,
    fleet: Fleet,
    kubectl: Cli,
    namespace: str,
    shape: Callable[[str, tuple[Moved, ...]], Shape],
) -> None:
    moved = both(namespace)
    here, there, owner = shape(namespace, moved)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = fleet.commit(here, "here")
    finished(agent.start(), first)
    before = belonging_to(owner, moved, kubectl)

    for moment in MOMENTS:
        fleet.commit(there, "there")
        time.sleep(moment)  # how far the agent is by then is what differs
        ended(agent, fleet.commit(here, "and back"))

    assert belonging_to(owner, moved, kubectl) == before


def ended(agent: AgentProcess, commit: str) -> None:
    """A commit is carried out; where the one before it came at the same time, it changes nothing."""
    agent.until(lambda line: line.fields.get("commit") == commit[:7] and ENDED.match(line.msg) is not None, "the end")
