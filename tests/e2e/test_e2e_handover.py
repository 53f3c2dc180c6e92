"""An object that moves between plain manifests and releases keeps its uid and its data, whoever is quicker."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet

#: A chart that holds what its values say: ConfigMaps and PersistentVolumeClaims by name.
CHART = {
    "charts/box/Chart.yaml": "apiVersion: v2\nname: box\nversion: 1.0.0\n",
    "charts/box/templates/all.yaml": """\
{{- range .Values.maps }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ . }}}
data: {from: {{ $.Release.Name }}}
{{- end }}
{{- range .Values.claims }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: {{ . }}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
{{- end }}
""",
}
PLACES = ("git", "a", "b")


@dataclass(frozen=True)
class Moved:
    """The object that moves, in a namespace."""

    kind: str
    namespace: str
    name: str = "moves"

    def plain(self) -> str:
        """As a manifest in Git."""
        metadata = f"metadata: {{name: {self.name}, namespace: {self.namespace}}}"
        if self.kind == "configmap":
            return f"apiVersion: v1\nkind: ConfigMap\n{metadata}\ndata: {{from: git}}\n"
        spec = "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}"
        return f"apiVersion: v1\nkind: PersistentVolumeClaim\n{metadata}\n{spec}\n"

    def live(self, kubectl: Cli) -> dict[str, str]:
        """Its uid, what it says of its origin, and whose marks it has."""
        found = json.loads(kubectl("get", self.kind, self.name, "-n", self.namespace, "-o", "json"))
        metadata = found["metadata"]
        annotations = metadata.get("annotations") or {}
        assert "deletionTimestamp" not in metadata
        return {
            "uid": metadata["uid"],
            "from": (found.get("data") or {}).get("from", ""),
            "release": annotations.get("meta.helm.sh/release-name", ""),
            "sync": (metadata.get("labels") or {}).get("gitsync.dev/sync", ""),
        }


def box(namespace: str, name: str, holds: Sequence[Moved] = (), needs: str = "", release_name: str = "") -> str:
    """A HelmRelease of the chart, in the synced repository itself."""
    maps = [f"{name}-own", *(item.name for item in holds if item.kind == "configmap")]
    claims = [item.name for item in holds if item.kind != "configmap"]
    more = f"  dependsOn: [{{name: {needs}}}]\n" if needs else ""
    more += f"  releaseName: {release_name}\n" if release_name else ""
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  interval: 1h
  timeout: 1m
{more}  chart: {{spec: {{chart: ./charts/box, sourceRef: {{kind: GitRepository, name: flux-system}}}}}}
  values: {json.dumps({"maps": maps, "claims": claims})}
"""


def fleet_files(moved: Sequence[Moved], place: str, namespace: str, first: str) -> dict[str, str | None]:
    """The repository with the objects at a place; of the releases, ``first`` acts before the other."""
    files: dict[str, str | None] = {}
    for name, other in (("a", "b"), ("b", "a")):
        holds = moved if place == name else ()
        files[f"fleet/{name}.yaml"] = box(namespace, name, holds, needs=other if first == other else "")
    for item in moved:
        files[f"fleet/{item.kind}.yaml"] = item.plain() if place == "git" else "# elsewhere\n"
    return files


def both(namespace: str) -> tuple[Moved, Moved]:
    return Moved("configmap", namespace), Moved("persistentvolumeclaim", namespace)


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet) -> AgentProcess:
    return new_agent(fleet, "--path=fleet")


def finished(agent: AgentProcess, commit: str) -> None:
    agent.until(
        lambda line: line.msg.startswith("sync finished") and line.fields.get("commit") == commit[:7], "sync finished"
    )


@pytest.mark.parametrize("first", ["", "a", "b"])
def test_an_object_keeps_its_uid_in_every_direction(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str, first: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files(moved, "git", namespace, first)}, "in git"))
    uids = {item: item.live(kubectl)["uid"] for item in moved}

    place = "git"
    for target in ("a", "b", "git", "b", "a", "git"):
        finished(agent, fleet.commit(fleet_files(moved, target, namespace, first), f"{place} to {target}"))
        for item in moved:
            live = item.live(kubectl)
            assert live["uid"] == uids[item], f"{item.kind}: {place} to {target}"
            assert live["from"] in ("", target)
            assert (live["release"], bool(live["sync"])) == (("", True) if target == "git" else (target, False))
        place = target
    assert not agent.said("object deleted", object=f"ConfigMap/{namespace}/moves")


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(PLACES, 2)))
def test_an_object_keeps_its_uid_when_the_agent_is_killed_while_it_moves(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, source: str, target: str
) -> None:
    (moved, _) = both(namespace)
    agent = new_agent(fleet, "--path=fleet")
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], source, namespace, "")}, "before"))
    uid = moved.live(kubectl)["uid"]

    after = agent.count
    commit = fleet.commit(fleet_files([moved], target, namespace, ""), "after")
    agent.wait_for("sync started", after=after, commit=commit[:7])
    agent.kill()
    again = new_agent(fleet, "--path=fleet", "--once")

    assert again.start().wait() == 0
    live = moved.live(kubectl)
    assert (live["uid"], live["from"]) == (uid, target)


def test_a_claim_that_the_same_commit_keeps_survives_its_release(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files(moved, "a", namespace, "")}, "in the release"))
    uids = {item: item.live(kubectl)["uid"] for item in moved}
    files = fleet_files(moved, "git", namespace, "") | {"fleet/a.yaml": "# removed\n"}
    finished(agent, fleet.commit(files, "the release goes, what it held stays"))

    assert kubectl("get", "helmrelease", "a", "-n", namespace, "--ignore-not-found", "-o", "name") == ""
    assert kubectl("get", "configmap", "a-own", "-n", namespace, "--ignore-not-found", "-o", "name") == ""
    assert {item: item.live(kubectl)["uid"] for item in moved} == uids


def test_a_release_that_gets_another_name_keeps_what_it_holds_under_both(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    moved = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, "fleet/a.yaml": box(namespace, "a", moved)}, "as a"))
    uids = {item: item.live(kubectl)["uid"] for item in moved}
    finished(agent, fleet.commit({"fleet/a.yaml": box(namespace, "a", moved, release_name="z")}, "as z"))

    assert {item: item.live(kubectl)["uid"] for item in moved} == uids
    assert {item.live(kubectl)["release"] for item in moved} == {"z"}


def test_what_git_and_a_chart_want_for_good_is_an_error_that_names_both(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], "git", namespace, "")}, "in git"))
    uid = moved.live(kubectl)["uid"]
    finished(agent, fleet.commit({"fleet/a.yaml": box(namespace, "a", [moved])}, "and in the chart"))

    status = kubectl("get", "helmrelease", "a", "-n", namespace, "-o", "jsonpath={.status.conditions}")
    assert f"ConfigMap/{namespace}/moves is already managed by sync" in status
    assert moved.live(kubectl)["from"] == "git"
    # Git lets go, and the release takes it without further help.
    finished(agent, fleet.commit({"fleet/configmap.yaml": "# gone\n"}, "no more in git"))
    agent.wait_for("release upgraded", release=f"{namespace}/a")
    live = moved.live(kubectl)
    assert (live["uid"], live["from"]) == (uid, "a")


def test_what_a_chart_has_and_git_wants_as_well_is_left_to_the_chart(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], "a", namespace, "")}, "in the chart"))
    finished(agent, fleet.commit({"fleet/configmap.yaml": moved.plain()}, "and in git"))

    failed = agent.wait_for("object failed", object=f"ConfigMap/{namespace}/moves")
    assert f"is already managed by HelmRelease/{namespace}/a" in failed.fields["error"]
    assert failed.fields["origin"].startswith("fleet/configmap.yaml:1")
    assert moved.live(kubectl)["from"] == "a"


def test_two_releases_that_want_an_object_for_good_do_not_fight_over_it(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    agent.start()
    finished(agent, fleet.commit({**CHART, **fleet_files([moved], "a", namespace, "")}, "in a"))
    finished(agent, fleet.commit({"fleet/b.yaml": box(namespace, "b", [moved])}, "in b, too"))

    status = kubectl("get", "helmrelease", "b", "-n", namespace, "-o", "jsonpath={.status.conditions}")
    assert f"ConfigMap/{namespace}/moves is already managed by HelmRelease {namespace}/a" in status
    assert moved.live(kubectl)["release"] == "a"
    after = agent.count
    fleet.commit({"fleet/a.yaml": box(namespace, "a")}, "a lets go")
    agent.wait_for("release upgraded", after=after, release=f"{namespace}/b")
    assert moved.live(kubectl)["release"] == "b"


def test_an_object_of_a_release_that_nobody_manages_here_is_taken_over(
    agent: AgentProcess, fleet: Fleet, kubectl: Cli, helm_cli: Cli, namespace: str
) -> None:
    (moved, _) = both(namespace)
    fleet.commit({**CHART, **fleet_files([moved], "git", namespace, "")}, "in git")
    helm_cli("install", "byhand", str(fleet.path / "charts/box"), "-n", namespace, "--set", "maps={moves}")
    uid = moved.live(kubectl)["uid"]
    agent.start()
    finished(agent, fleet.head)

    live = moved.live(kubectl)
    assert (live["uid"], live["from"], live["release"]) == (uid, "git", "")
