"""Objects that go to, or come from, Kustomizations and releases that others bring: in charts, below each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.belonging import belonging_to, plain
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.insides import CHART, NOTHING, chart, named, of_chart, release
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import Moved, both, finished, uids_when_there


class Move(NamedTuple):
    """The repository before and after, and whose the objects are then."""

    before: dict[str, str]
    after: dict[str, str]
    owner: str


def a_namespace(name: str) -> str:
    """The manifest of a Namespace."""
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def to_a_kustomization_in_the_chart_of_another_release(namespace: str, moved: Sequence[Moved]) -> Move:
    before = {
        **CHART,
        "clusters/a.yaml": release(namespace, "a", plain(tuple(moved))),
        "clusters/b.yaml": release(namespace, "b"),
        "k/moves.yaml": NOTHING,
    }
    inside = kustomization(namespace, "k", "./k")
    after = {
        "clusters/a.yaml": release(namespace, "a"),
        "clusters/b.yaml": release(namespace, "b", inside),
        "k/moves.yaml": plain(tuple(moved)),
    }
    return Move(before, after, "k")


def to_a_release_in_a_kustomization_in_the_chart_of_another(namespace: str, moved: Sequence[Moved]) -> Move:
    found = to_a_kustomization_in_the_chart_of_another_release(namespace, moved)
    last = {"k/moves.yaml": release(namespace, "last", plain(tuple(moved)))}
    return Move(found.before, found.after | last, "last")


def from_a_kustomization_in_a_chart_to_that_chart(namespace: str, moved: Sequence[Moved]) -> Move:
    files = plain(tuple(moved))
    before = {
        **CHART,
        "clusters/a.yaml": release(namespace, "a", kustomization(namespace, "k", "./k")),
        "k/moves.yaml": files,
    }
    return Move(before, {"clusters/a.yaml": release(namespace, "a", files)}, "a")


def from_a_kustomization_that_goes_with_its_parent(namespace: str, moved: Sequence[Moved]) -> Move:
    before = {
        "clusters/parent.yaml": kustomization(namespace, "parent", "./parent"),
        "parent/k.yaml": kustomization(namespace, "k", "./k"),
        "k/moves.yaml": plain(tuple(moved)),
        "clusters/moves.yaml": NOTHING,
    }
    return Move(before, {"clusters/parent.yaml": NOTHING, "clusters/moves.yaml": plain(tuple(moved))}, "")


def from_a_release_that_goes_with_the_kustomizations_above_it(namespace: str, moved: Sequence[Moved]) -> Move:
    """To a release in the chart of another: that is ready only when this one has the objects."""
    files = plain(tuple(moved))
    before = {
        **CHART,
        "clusters/parent.yaml": kustomization(namespace, "parent", "./parent"),
        "parent/k.yaml": kustomization(namespace, "k", "./k"),
        "k/a.yaml": release(namespace, "a", files),
        "clusters/b.yaml": NOTHING,
    }
    after = {
        "clusters/parent.yaml": NOTHING,
        "clusters/b.yaml": release(namespace, "b", release(namespace, "inner", files)),
    }
    return Move(before, after, "inner")


def from_a_kustomization_that_goes_with_a_chart_to_a_release_in_another(namespace: str, moved: Sequence[Moved]) -> Move:
    """The release with the other chart is ready only when the one in that is, and only then the first one goes."""
    files = plain(tuple(moved))
    before = {
        **CHART,
        "clusters/a.yaml": release(namespace, "a", kustomization(namespace, "k", "./k")),
        "clusters/b.yaml": NOTHING,
        "k/moves.yaml": files,
    }
    after = {
        "clusters/a.yaml": NOTHING,
        "clusters/b.yaml": release(namespace, "b", release(namespace, "inner", files)),
    }
    return Move(before, after, "inner")


def from_a_release_of_a_kustomization_that_goes_with_a_chart_to_one_in_another(
    namespace: str, moved: Sequence[Moved]
) -> Move:
    found = from_a_kustomization_that_goes_with_a_chart_to_a_release_in_another(namespace, moved)
    return Move({**found.before, "k/moves.yaml": release(namespace, "old", plain(tuple(moved)))}, found.after, "inner")


def from_a_kustomization_in_the_chart_of_a_release_that_goes(namespace: str, moved: Sequence[Moved]) -> Move:
    before = {
        **CHART,
        "clusters/a.yaml": release(namespace, "a", kustomization(namespace, "k", "./k")),
        "clusters/moves.yaml": NOTHING,
        "k/moves.yaml": plain(tuple(moved)),
    }
    return Move(before, {"clusters/a.yaml": NOTHING, "clusters/moves.yaml": plain(tuple(moved))}, "")


def to_a_kustomization_that_goes_to_a_chart_at_that_moment(namespace: str, moved: Sequence[Moved]) -> Move:
    """What it has had goes to the root."""
    had = config_map(namespace, "had")
    before = {
        **CHART,
        "clusters/a.yaml": kustomization(namespace, "a", "./a"),
        "clusters/d.yaml": kustomization(namespace, "d", "./d"),
        "clusters/had.yaml": NOTHING,
        "a/moves.yaml": plain(tuple(moved)),
        "d/all.yaml": had,
    }
    after = {
        "clusters/a.yaml": release(namespace, "b", kustomization(namespace, "d", "./d")),
        "clusters/d.yaml": NOTHING,
        "clusters/had.yaml": had,
        "d/all.yaml": plain(tuple(moved)),
    }
    return Move(before, after, "d")


def to_a_release_that_goes_to_a_kustomization_under_another_name(namespace: str, moved: Sequence[Moved]) -> Move:
    """What that has had goes to another one there."""
    had = config_map(namespace, "had")
    before = {
        **CHART,
        "clusters/b.yaml": named(namespace, "b", "before", had),
        "clusters/c.yaml": release(namespace, "c", plain(tuple(moved))),
    }
    after = {
        "clusters/b.yaml": NOTHING,
        "clusters/c.yaml": kustomization(namespace, "c", "./c"),
        "c/b.yaml": release(namespace, "b", plain(tuple(moved))),
        "c/d.yaml": release(namespace, "d", had),
    }
    return Move(before, after, "b")


MOVES: list[Callable[[str, Sequence[Moved]], Move]] = [
    to_a_kustomization_in_the_chart_of_another_release,
    to_a_release_in_a_kustomization_in_the_chart_of_another,
    to_a_kustomization_that_goes_to_a_chart_at_that_moment,
    to_a_release_that_goes_to_a_kustomization_under_another_name,
    from_a_kustomization_in_a_chart_to_that_chart,
    from_a_kustomization_that_goes_with_a_chart_to_a_release_in_another,
    from_a_release_of_a_kustomization_that_goes_with_a_chart_to_one_in_another,
    from_a_kustomization_in_the_chart_of_a_release_that_goes,
    from_a_kustomization_that_goes_with_its_parent,
    from_a_release_that_goes_with_the_kustomizations_above_it,
]


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_what_moves_is_the_same_object(
    new_agent: NewAgent,
    fleet: Fleet,
    kubectl: Cli,
    namespace: str,
    move: Callable[[str, Sequence[Moved]], Move],
) -> None:
    moved = both(namespace)
    before, after, owner = move(namespace, moved)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    uids = uids_when_there(kubectl, moved)

    finished(agent, fleet.commit(after, "after"))
    assert belonging_to(owner, moved, kubectl) == uids
    assert '"level":"error"' not in agent.log, "nothing had to time out for that"


def test_a_namespace_goes_after_the_kustomization_that_has_something_in_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-inside"
    made = a_namespace(inside)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = fleet.commit(
        {
            "clusters/namespace.yaml": made,
            "clusters/k.yaml": kustomization(namespace, "k", "./k"),
            "clusters/own.yaml": config_map(namespace, "own"),
            **{f"k/{number}.yaml": config_map(inside, f"m{number}") for number in range(12)},
        },
        "a namespace and what is in it",
    )
    finished(agent.start(), first)
    kubectl("wait", "--for=create", "configmap/m11", "-n", inside, "--timeout=60s")
    fleet.commit({"clusters/namespace.yaml": NOTHING, "clusters/k.yaml": NOTHING}, "both go")
    kubectl("wait", "--for=delete", f"namespace/{inside}", "--timeout=60s")
    assert not agent.said("object kept")


def test_a_namespace_goes_after_the_release_that_has_something_in_it_whoever_has_the_namespace(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The Kustomization that has it goes together with a release of the root."""
    inside = f"{namespace}-inside"
    made = a_namespace(inside)
    maps = [config_map(inside, f"m{number}") for number in range(12)]
    hook = {"helm.sh/hook": "post-delete"}  # which takes the uninstall a moment more
    after = config_map(namespace, "after", annotations=json.dumps(hook))
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = fleet.commit(
        {
            **CHART,
            "clusters/k.yaml": kustomization(namespace, "k", "./k"),
            "clusters/a.yaml": release(namespace, "a", *maps, after),
            "clusters/own.yaml": config_map(namespace, "own"),
            "k/namespace.yaml": made,
        },
        "a namespace and what is in it",
    )
    finished(agent.start(), first)
    kubectl("wait", "--for=create", "configmap/m11", "-n", inside, "--timeout=60s")
    fleet.commit({"clusters/k.yaml": NOTHING, "clusters/a.yaml": NOTHING}, "both go")
    kubectl("wait", "--for=delete", f"namespace/{inside}", "--timeout=60s")


def test_a_namespace_of_a_release_goes_after_the_kustomization_that_has_something_in_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The Kustomization goes together with the release, and takes longer."""
    inside = f"{namespace}-inside"
    made = a_namespace(inside)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = fleet.commit(
        {
            **CHART,
            "clusters/a.yaml": release(namespace, "a", made),
            "clusters/k.yaml": kustomization(namespace, "k", "./k"),
            "clusters/own.yaml": config_map(namespace, "own"),
            **{f"k/{number}.yaml": config_map(inside, f"m{number}") for number in range(12)},
        },
        "a namespace and what is in it",
    )
    finished(agent.start(), first)
    kubectl("wait", "--for=create", "configmap/m11", "-n", inside, "--timeout=60s")
    fleet.commit({"clusters/k.yaml": NOTHING, "clusters/a.yaml": NOTHING}, "both go")
    kubectl("wait", "--for=delete", f"namespace/{inside}", "--timeout=60s")


def test_a_namespace_of_a_release_stays_for_what_a_kustomization_leaves_in_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The Kustomization goes after the release is to be uninstalled, and its objects are to stay."""
    inside = f"{namespace}-inside"
    made = a_namespace(inside)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = fleet.commit(
        {
            **CHART,
            "clusters/a.yaml": release(namespace, "a", made),
            "clusters/k.yaml": kustomization(namespace, "k", "./k", deletionPolicy="Orphan"),
            "clusters/later.yaml": kustomization(namespace, "later", "./later", dependsOn=[{"name": "k"}]),
            "clusters/own.yaml": config_map(namespace, "own"),
            "k/stays.yaml": config_map(inside, "stays"),
            "later/goes.yaml": config_map(namespace, "goes"),
        },
        "a namespace and what is in it",
    )
    finished(agent.start(), first)
    kubectl("wait", "--for=create", "configmap/goes", "-n", namespace, "--timeout=60s")
    held = '--patch={"metadata":{"finalizers":[%s]}}'
    kubectl("patch", "configmap", "goes", "-n", namespace, "--type=merge", held % '"example.com/held"')
    fleet.commit({f"clusters/{name}.yaml": NOTHING for name in ("k", "later", "a")}, "all go")
    kept = f"Namespace/{inside}: ConfigMap/{inside}/stays would go with it, which sync/{namespace}/k wants"
    agent.until(lambda line: line.says("waiting", release=f"{namespace}/a") and line.fields["for"] == kept, kept)
    kubectl("patch", "configmap", "goes", "-n", namespace, "--type=merge", held % "")
    kubectl("wait", "--for=delete", "helmrelease/a", "kustomization/k", "-n", namespace, "--timeout=60s")
    assert kubectl("get", "namespace", inside, "-o", "jsonpath={.status.phase}") == "Active"
    kubectl("get", "configmap", "stays", "-n", inside)


def test_a_directory_that_goes_together_with_the_release_whose_chart_names_it_is_no_error(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    first = fleet.commit(
        {
            **CHART,
            "clusters/a.yaml": release(namespace, "a", kustomization(namespace, "k", "./k")),
            "clusters/own.yaml": config_map(namespace, "own"),
            "k/goes.yaml": config_map(namespace, "goes"),
        },
        "a directory that a chart names",
    )
    finished(agent.start(), first)
    kubectl("wait", "--for=create", "configmap/goes", "-n", namespace, "--timeout=60s")
    finished(agent, fleet.commit({"clusters/a.yaml": NOTHING, "k/goes.yaml": None}, "both go"))
    kubectl("wait", "--for=delete", "configmap/goes", "kustomization/k", "-n", namespace, "--timeout=60s")
    assert '"level":"error"' not in agent.log


def test_a_release_in_a_chart_that_goes_together_with_its_own_chart_keeps_nothing(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """It cannot be rendered any more, and may want nothing all the same: neither itself, nor when all is removed."""
    moved = both(namespace)
    other = {name.replace("text", "other"): text.replace(": text", ": other") for name, text in CHART.items()}
    inner = release(namespace, "inner", plain(moved)).replace("./charts/text", "./charts/other")
    before = {**CHART, **other, "clusters/a.yaml": release(namespace, "a", inner)}
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit({**before, "clusters/own.yaml": config_map(namespace, "own")}, "before"))
    uids = uids_when_there(kubectl, moved)

    after = {**dict.fromkeys(other), "clusters/a.yaml": release(namespace, "a", plain(moved))}
    finished(agent, fleet.commit(after, "the parent takes them, and the chart is gone"))
    kubectl("wait", "--for=delete", "helmrelease/inner", "-n", namespace, "--timeout=60s")
    assert belonging_to("a", moved, kubectl) == uids
    fleet.commit({"clusters/a.yaml": NOTHING, **dict.fromkeys(CHART)}, "all go")
    kubectl("wait", "--for=delete", "helmrelease/a", "configmap/moves", "-n", namespace, "--timeout=60s")


def test_a_release_and_the_one_in_its_chart_go_together_when_that_cannot_be_rendered(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    other = {name.replace("text", "other"): text.replace(": text", ": other") for name, text in CHART.items()}
    inner = release(namespace, "inner", plain(moved)).replace("./charts/text", "./charts/other")
    before = {**CHART, **other, "clusters/a.yaml": release(namespace, "a", inner)}
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit({**before, "clusters/own.yaml": config_map(namespace, "own")}, "before"))
    kubectl("wait", "--for=create", "configmap/moves", "-n", namespace, "--timeout=60s")
    fleet.commit({**dict.fromkeys(other), "clusters/own.yaml": config_map(namespace, "own", "more")}, "broken")
    agent.wait_for("release failed", release=f"{namespace}/inner")
    fleet.commit({"clusters/a.yaml": NOTHING, **dict.fromkeys(CHART)}, "all go")
    kubectl("wait", "--for=delete", "helmrelease/a", "helmrelease/inner", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=delete", "configmap/moves", "-n", namespace, "--timeout=60s")


def test_a_release_in_a_chart_waits_for_a_name_that_goes_with_a_kustomization(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)

    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "clusters/own.yaml": config_map(namespace, "own"),
        "k/old.yaml": named(namespace, "old", "pin", plain(moved)),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=create", "helmrelease/old", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "helmrelease/old", "-n", namespace, "--timeout=60s")
    uids = [item.live(kubectl)["uid"] for item in moved]
    after = {
        "clusters/k.yaml": NOTHING,
        "k/old.yaml": None,
        "clusters/z.yaml": release(namespace, "z", named(namespace, "new", "pin", plain(moved))),
    }
    finished(agent, fleet.commit(after, "after"))
    for name in ("new", "z"):
        kubectl("wait", "--for=condition=Ready", f"helmrelease/{name}", "-n", namespace, "--timeout=60s")
    assert belonging_to("pin", moved, kubectl) == uids
    assert '"level":"error"' not in agent.log


def test_a_release_that_is_uninstalled_for_one_is_not_taken_by_another_meanwhile(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The chart of a release drops a HelmRelease, and a new Kustomization brings another of the same releaseName."""
    moved = both(namespace)

    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **CHART,
        "clusters/y.yaml": release(namespace, "y", named(namespace, "old", "pin", plain(moved))),
        "clusters/own.yaml": config_map(namespace, "own"),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    uids = belonging_to("pin", moved, kubectl)
    after = {
        "clusters/y.yaml": release(namespace, "y"),
        "clusters/j.yaml": kustomization(namespace, "j", "./j"),
        "j/new.yaml": named(namespace, "new", "pin", plain(moved)),
    }
    finished(agent, fleet.commit(after, "after"))
    kubectl("wait", "--for=create", "helmrelease/new", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "helmrelease/new", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=delete", "helmrelease/old", "-n", namespace, "--timeout=60s")
    assert belonging_to("pin", moved, kubectl) == uids
    assert not agent.said("a defect in gitsync; please report it")


def test_a_release_and_what_its_chart_names_go_at_once_with_all_directories(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """A Kustomization and a HelmRelease in its chart, whose own chart is gone with the commit."""
    other = {name.replace("text", "other"): text.replace(": text", ": other") for name, text in CHART.items()}
    inner = release(namespace, "inner", config_map(namespace, "goes")).replace("./charts/text", "./charts/other")
    before = {
        **CHART,
        **other,
        "clusters/z.yaml": release(namespace, "z", inner, kustomization(namespace, "k", "./k")),
        "clusters/own.yaml": config_map(namespace, "own"),
        "k/too.yaml": config_map(namespace, "too"),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    for name in ("goes", "too"):
        kubectl("wait", "--for=create", f"configmap/{name}", "-n", namespace, "--timeout=60s")
    fleet.commit({**dict.fromkeys([*CHART, *other, "k/too.yaml"]), "clusters/z.yaml": NOTHING}, "all go")
    gone = ["helmrelease/z", "helmrelease/inner", "kustomization/k", "configmap/goes", "configmap/too"]
    kubectl("wait", "--for=delete", *gone, "-n", namespace, "--timeout=60s")


def test_a_release_that_is_renamed_takes_objects_of_one_in_its_chart(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """What the inner one says of its origin is the name from before."""
    moved = both(namespace)

    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {**CHART, "clusters/a.yaml": named(namespace, "a", "one", release(namespace, "inner", plain(moved)))}
    finished(agent.start(), fleet.commit({**before, "clusters/own.yaml": config_map(namespace, "own")}, "before"))
    uids = belonging_to("inner", moved, kubectl)
    finished(
        agent,
        fleet.commit(
            {"clusters/a.yaml": named(namespace, "a", "two", release(namespace, "inner"), plain(moved))}, "after"
        ),
    )
    assert belonging_to("two", moved, kubectl) == uids


def test_a_namespace_of_a_release_goes_after_a_kustomization_of_one_in_its_chart(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-inside"
    made = a_namespace(inside)
    before = {
        **CHART,
        "clusters/a.yaml": release(namespace, "a", made, kustomization(namespace, "outer", "./outer")),
        "clusters/own.yaml": config_map(namespace, "own"),
        "outer/inner.yaml": kustomization(namespace, "inner", "./inner"),
        **{f"inner/{number}.yaml": config_map(inside, f"m{number}") for number in range(12)},
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=create", "configmap/m11", "-n", inside, "--timeout=60s")
    fleet.commit({"clusters/a.yaml": NOTHING}, "all go")
    kubectl("wait", "--for=delete", f"namespace/{inside}", "--timeout=60s")


def test_what_goes_from_one_chart_in_git_to_another_stays_when_a_plain_object_has_to_wait(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The release that has it is in a chart, and follows the files at once; the other one follows the commit, which is
    planned a second time, for a Kustomization has an object that it gives to the root."""
    moved = both(namespace)
    inner = {name.replace("text", "inner"): text.replace(": text", ": inner") for name, text in CHART.items()}
    taker = {name.replace("text", "taker"): text.replace(": text", ": taker") for name, text in CHART.items()}
    files = {
        **CHART,
        **inner,
        **taker,
        "charts/inner/templates/moves.yaml": plain(moved),
        "clusters/a.yaml": release(namespace, "a", release(namespace, "b").replace("charts/text", "charts/inner")),
        "clusters/t.yaml": release(namespace, "t").replace("charts/text", "charts/taker"),
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "clusters/plain.yaml": NOTHING,
        "k/own.yaml": config_map(namespace, "own"),
        **{f"k/{number}.yaml": config_map(namespace, f"m{number}") for number in range(50)},
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(files, "before"))
    uids = belonging_to("b", moved, kubectl)
    kubectl("wait", "--for=create", "configmap/m49", "-n", namespace, "--timeout=60s")
    plains = "---\n".join(config_map(namespace, f"m{number}") for number in range(50))
    after = {
        **{f"k/{number}.yaml": None for number in range(50)},
        "clusters/plain.yaml": plains,
        "charts/inner/templates/moves.yaml": None,
        "charts/taker/templates/moves.yaml": plain(moved),
    }
    finished(agent, fleet.commit(after, "after"))
    assert belonging_to("t", moved, kubectl) == uids


@pytest.mark.parametrize("number", range(3))
def test_a_kustomization_that_is_replaced_by_another_of_its_directory_takes_nothing_from_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, number: int
) -> None:
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        "clusters/k.yaml": kustomization(namespace, f"old{number}", "./k"),
        "clusters/own.yaml": config_map(namespace, "own"),
        "k/old.yaml": config_map(namespace, "old"),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=create", "configmap/old", "-n", namespace, "--timeout=60s")
    after = {
        "clusters/k.yaml": kustomization(namespace, f"new{number}", "./k"),
        **{f"k/{item}.yaml": config_map(namespace, f"m{item}") for item in range(20)},
    }
    fleet.commit(after, "another of the same directory, which has more in it")
    kubectl("wait", "--for=delete", f"kustomization/old{number}", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", f"kustomization/new{number}", "-n", namespace, "--timeout=60s")
    found = json.loads(
        kubectl("get", "configmap", "-n", namespace, "-l", f"gitsync.dev/sync=new{number}", "-o", "json")
    )
    assert len(found["items"]) == 21


@pytest.mark.parametrize("apart", [False, True], ids=["in one chart", "in two"])
@pytest.mark.parametrize("down", [False, True], ids=["", "while the agent is down"])
@pytest.mark.parametrize("number", range(2))
def test_what_goes_from_one_chart_to_another_stays_when_nothing_but_their_files_changes(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, apart: bool, down: bool, number: int
) -> None:
    """Both releases are in charts, so that no commit changes them."""
    moved = both(namespace)
    giver, taker = ("giver", of_chart(namespace, "giver")), ("taker", of_chart(namespace, "taker"))
    above = {**chart("one", giver), **chart("two", taker)} if apart else {**chart("one", giver, taker), **chart("two")}
    before = {
        **above,
        **chart("giver", ("moves", plain(moved))),
        **chart("taker", ("own", config_map(namespace, "own"))),
        "clusters/one.yaml": of_chart(namespace, "one"),
        "clusters/two.yaml": of_chart(namespace, "two"),
    }
    agent = new_agent(fleet, "--path=clusters").start()
    finished(agent, fleet.commit(before, f"before {number}"))
    uids = belonging_to("giver", moved, kubectl)
    if down:
        agent.stop()
    fleet.commit(
        {"charts/giver/templates/moves.yaml": None, "charts/taker/templates/moves.yaml": plain(moved)}, "nothing else"
    )
    if down:
        agent.start()
    assert belonging_to("taker", moved, kubectl) == uids


def test_a_release_that_goes_together_with_its_chart_in_git_is_no_error(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The chart goes with the commit, the release when its Kustomization has taken that up."""
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    before = {
        **chart("gone", ("a.yaml", config_map(namespace, "moves"))),
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "k/a.yaml": of_chart(namespace, "gone"),
        "k/b.yaml": config_map(namespace, "stays"),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=create", "configmap/moves", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "kustomization/k", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "helmrelease/gone", "-n", namespace, "--timeout=60s")
    after = {**dict.fromkeys(chart("gone", ("a.yaml", ""))), "k/a.yaml": None}
    finished(agent, fleet.commit(after, "after"))
    kubectl("wait", "--for=delete", "helmrelease/gone", "-n", namespace, "--timeout=60s")
    assert '"level":"error"' not in agent.log
    assert '"level":"warn' not in agent.log


def test_a_release_that_stays_without_its_chart_in_git_says_so(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    agent = new_agent(fleet, "--path=clusters")
    before = {
        **chart("gone", ("a.yaml", config_map(namespace, "moves"))),
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "k/a.yaml": of_chart(namespace, "gone"),
    }
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=create", "helmrelease/gone", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "helmrelease/gone", "-n", namespace, "--timeout=60s")
    fleet.commit(dict.fromkeys(chart("gone", ("a.yaml", ""))), "after")
    kubectl("wait", "--for=condition=Ready=false", "helmrelease/gone", "-n", namespace, "--timeout=60s")
    agent.wait_for("release failed", release=f"{namespace}/gone")


def test_what_goes_to_a_kustomization_that_goes_to_the_chart_of_another_stays(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """The Kustomization itself leaves the root for the chart of a release that a third one brings."""
    moved = both(namespace)
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    before = {
        **CHART,
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "clusters/giver.yaml": kustomization(namespace, "giver", "./giver"),
        "clusters/third.yaml": kustomization(namespace, "third", "./third"),
        "k/own.yaml": config_map(namespace, "own"),
        "giver/moves.yaml": plain(moved),
        "giver/own.yaml": config_map(namespace, "giver-own"),
        "third/own.yaml": config_map(namespace, "third-own"),
    }
    finished(agent, fleet.commit(before, "before"))
    uids = belonging_to("giver", moved, kubectl)
    after = {
        "clusters/k.yaml": NOTHING,
        "third/release.yaml": release(namespace, "r", kustomization(namespace, "k", "./k")),
        "giver/moves.yaml": None,
        "k/moves.yaml": plain(moved),
    }
    fleet.commit(after, "after")
    assert belonging_to("k", moved, kubectl) == uids


def test_a_release_of_a_kustomization_in_a_chart_goes_with_all_directories(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    inside = f"{namespace}-inside"
    made = a_namespace(inside)
    before = {
        **chart("z", ("k", kustomization(namespace, "k", "./k")), ("namespace", made)),
        **chart("h", ("goes", config_map(inside, "goes"))),
        "clusters/z.yaml": of_chart(namespace, "z"),
        "clusters/own.yaml": config_map(namespace, "own"),
        "k/h.yaml": of_chart(namespace, "h"),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    finished(agent, fleet.commit(before, "before"))
    kubectl("wait", "--for=create", "configmap/goes", "-n", inside, "--timeout=60s")
    fleet.commit({name: None for name in before if name != "clusters/own.yaml"}, "all go")
    kubectl("wait", "--for=delete", "helmrelease/z", "kustomization/k", "-n", namespace, "--timeout=60s")
    kubectl("wait", "--for=delete", f"namespace/{inside}", "--timeout=60s")
