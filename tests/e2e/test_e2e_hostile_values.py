"""What values come to in memory: an object of a megabyte is small, and what it says of values is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.controlplane.cluster import Cluster
from tests.e2e.badnamespace import bad
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostility import GRACE
from tests.e2e.limits import ATTACKED, limited
from tests.e2e.watching import Watch, is_ready

__all__ = ["bad"]

#: Texts of some 900 KB: of many maps, and of one list within a list within ...
MAPS = 110_000
HEAVY = "a: [" + ",".join(["{a: 0}"] * MAPS) + "]"
#: Releases that take the same values, and references of one release that each set the last item of a list of lists.
SAME, PATHS = 60, 100
LISTS = "[65535]" * 30
#: ConfigMaps beside the one that is referred to, of a megabyte each, and less than they come to with the agent: more of
#: them would be an attack on this machine.
BESIDE, LITTLE = 250, 384 << 20


def heavy_values(bad: str) -> dict[str, str]:
    """Many releases with the values of one ConfigMap, which each has for itself."""
    return {f"same-{number}": from_map(in_git(bad, f"same-{number}"), [{"name": "heavy"}]) for number in range(SAME)}


def far_places(bad: str) -> dict[str, str]:
    """A few letters that make lists of millions."""
    references = [{"name": "small", "valuesKey": "x", "targetPath": f"k{number}{LISTS}"} for number in range(PATHS)]
    return {"far": from_map(in_git(bad, "far"), references)}


def one_of_many(bad: str) -> dict[str, str]:
    """One release with small values, in a namespace full of what nobody needs."""
    return {"one": from_map(in_git(bad, "one"), [{"name": "small", "valuesKey": "values.yaml"}])}


def from_map(text: str, references: list[dict[str, Any]]) -> str:
    named = json.dumps([{"kind": "ConfigMap", **reference} for reference in references])
    return f"{text}  valuesFrom: {named}\n"


def create(cluster: Cluster, namespace: str, name: str, data: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    cluster.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("attack", [heavy_values, far_places, one_of_many])
def test_values_that_take_all_memory_are_an_error_of_their_own_releases(
    agent: AgentProcess,
    fleet: Fleet,
    control_plane: Cluster,
    releases: Watch,
    namespace: str,
    bad: str,
    attack: Callable[[str], dict[str, str]],
) -> None:
    create(control_plane, bad, "small", {"x": "1", "values.yaml": "a: 1"})
    create(control_plane, bad, "heavy", {"values.yaml": HEAVY})
    for number in range(BESIDE if attack is one_of_many else 0):
        create(control_plane, bad, f"beside-{number}", {"text": "x" * 1_000_000})
    fleet.commit({**chart_files(), f"fleet/{namespace}.yaml": in_git(namespace, "first")}, "an honest one")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("release installed", release=f"{namespace}/first")

    with limited(agent.pid, LITTLE if attack is one_of_many else ATTACKED) as memory:
        files = attack(bad)
        fleet.commit({f"fleet/bad-{name}.yaml": text for name, text in files.items()}, "values without end")
        *_, last = files
        agent.wait_for("object created", object=f"HelmRelease/{bad}/{last}")
        fleet.commit({f"fleet/{namespace}-2.yaml": in_git(namespace, "second")}, "another honest one")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest))
        releases.until(lambda now: all(_said(now.get(f"{bad}/{name}")) for name in files), "all have an answer")

    memory.check()
    assert agent.stop(GRACE) == 0


def _said(manifest: dict[str, Any] | None) -> bool:
    conditions = ((manifest or {}).get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] in ("True", "False") for item in conditions)


#: What takes minutes, for a list that a HelmRelease has in its values.
LIST = "self.spec.values.a"
SLOW = f"{LIST}.map(x, {LIST}.map(y, {LIST}.all(z, z == z))).size() > "
EXPRESSIONS = 100


@pytest.mark.timeout(500)
def test_expressions_without_end_hold_up_nobody_else(
    agent: AgentProcess, fleet: Fleet, releases: Watch, namespace: str, bad: str
) -> None:
    """Each of them takes the evaluator's process along, and the next one waits for another."""
    files: dict[str, str | None] = {**chart_files(), "fleet/bad.yaml": in_git(bad, "first")}
    fleet.commit({**files, "fleet/first.yaml": in_git(namespace, "first")}, "honest ones")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("release installed", release=f"{bad}/first")
    agent.wait_for("release installed", release=f"{namespace}/first")
    values = {"a": list(range(400))}
    for number in range(EXPRESSIONS):
        need = f"{{name: first, readyExpr: {json.dumps(f'{SLOW}{number}')}}}"
        files[f"fleet/bad-{number}.yaml"] = in_git(bad, f"slow-{number}", need, values=values)

    with limited(agent.pid) as memory:
        fleet.commit(files, "expressions without end")
        agent.wait_for("object created", object=f"HelmRelease/{bad}/slow-{EXPRESSIONS - 1}")
        need = "{name: first, readyExpr: 'dep.metadata.name == \"first\"'}"
        fleet.commit({f"fleet/{namespace}-2.yaml": in_git(namespace, "second", need)}, "an honest one")
        agent.wait_for("object created", object=f"HelmRelease/{namespace}/second")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest), timeout=60)

    memory.check()
    assert agent.stop(GRACE) == 0
