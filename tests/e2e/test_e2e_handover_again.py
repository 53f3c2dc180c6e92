"""A release that is still being deleted is wanted again, and gets an object by that from somebody else."""

from __future__ import annotations

import json

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.insides import chart, of_chart
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.e2e.moving import finished
from tests.until import ask_until

NOTHING = "# nothing\n"


def uid_and_owner(kubectl: Cli, namespace: str) -> tuple[str, str]:
    found = json.loads(kubectl("get", "configmap", "moves", "-n", namespace, "-o", "json"))["metadata"]
    labels = found.get("labels") or {}
    return found["uid"], labels.get("kustomize.toolkit.fluxcd.io/name") or found["annotations"][
        "meta.helm.sh/release-name"
    ]


def hang(kubectl: Cli, namespace: str, what: str) -> None:
    """Whatever deletes this hangs until ``let_go``."""
    finalizer = json.dumps([{"op": "add", "path": "/metadata/finalizers/-", "value": "test.dev/hangs"}])
    if not json.loads(kubectl("get", what, "-n", namespace, "-o", "json"))["metadata"].get("finalizers"):
        finalizer = json.dumps([{"op": "add", "path": "/metadata/finalizers", "value": ["test.dev/hangs"]}])
    kubectl("patch", what, "-n", namespace, "--type=json", "-p", finalizer)


def let_go(kubectl: Cli, namespace: str, what: str) -> None:
    kubectl("patch", what, "-n", namespace, "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


@pytest.mark.parametrize("what", ["helmrelease/own", "configmap/stays"])
def test_it_stays_and_the_release_comes_when_the_old_one_is_gone(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str, what: str
) -> None:
    """The chart, too, is another one by the commit that brings the release again."""
    moves, stays = config_map(namespace, "moves"), config_map(namespace, "stays")
    both, only = "own/templates/moves.yaml", chart("own", ("stays", stays))
    own = {**only, f"charts/{both}": moves}
    before = {
        **own,
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "clusters/own.yaml": of_chart(namespace, "own"),
        "k/a.yaml": config_map(namespace, "others"),
    }
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune")
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=condition=Ready", "helmrelease/own", "-n", namespace, "--timeout=60s")
    uid, _ = uid_and_owner(kubectl, namespace)
    hang(kubectl, namespace, what)
    fleet.commit({f"charts/{both}": None, "k/b.yaml": moves, "clusters/own.yaml": NOTHING}, "to the other")
    ask_until(lambda: uid_and_owner(kubectl, namespace), lambda found: found == (uid, "k"), "it is the other's")
    again = fleet.commit(
        {f"charts/{both}": moves, "k/b.yaml": NOTHING, "clusters/own.yaml": before["clusters/own.yaml"]}, "again"
    )
    revision = f"main@sha1:{again}"
    kubectl(
        "wait",
        f"--for=jsonpath={{.status.lastAppliedRevision}}={revision}",
        "kustomization/k",
        "-n",
        namespace,
        "--timeout=60s",
    )
    assert uid_and_owner(kubectl, namespace)[0] == uid
    let_go(kubectl, namespace, what)
    ask_until(lambda: uid_and_owner(kubectl, namespace), lambda found: found == (uid, "own"), "it is the release's")
    kubectl("wait", "--for=condition=Ready", "helmrelease/own", "-n", namespace, "--timeout=60s")
    assert '"level":"error"' not in agent.log


def test_what_a_kustomization_gets_of_a_release_that_the_commit_has_yet_to_change_is_waited_for(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    """It hears of the commit at once, while the release is applied after all that is plain."""
    moves = config_map(namespace, "moves")

    def plain(text: str) -> dict[str, str | None]:
        return {f"clusters/{number}.yaml": config_map(namespace, f"m{number}", text) for number in range(150)}

    before = {
        **plain("before"),
        **chart("own", ("stays", config_map(namespace, "stays")), ("moves", moves)),
        "clusters/k.yaml": kustomization(namespace, "k", "./k"),
        "clusters/own.yaml": of_chart(namespace, "own"),
        "k/a.yaml": config_map(namespace, "others"),
    }
    agent = new_agent(fleet, "--path=clusters")
    finished(agent.start(), fleet.commit(before, "before"))
    kubectl("wait", "--for=condition=Ready", "helmrelease/own", "-n", namespace, "--timeout=60s")
    uid, _ = uid_and_owner(kubectl, namespace)
    fleet.commit({**plain("after"), "charts/own/templates/moves.yaml": None, "k/b.yaml": moves}, "to the other")
    ask_until(lambda: uid_and_owner(kubectl, namespace), lambda found: found == (uid, "k"), "it is the other's")
    assert '"level":"error"' not in agent.log
