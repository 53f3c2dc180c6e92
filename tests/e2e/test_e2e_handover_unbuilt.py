"""A Kustomization that cannot be built keeps what a commit may have given it, and nothing else."""

from __future__ import annotations

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map


def resources(*names: str) -> str:
    return "resources:\n" + "".join(f"- {name}\n" for name in names)


def begun(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> tuple[AgentProcess, Cluster]:
    """``a`` has objects, ``b`` names a file that is not there and the directory ``shared``."""
    fleet.commit(
        {
            "clusters/a.yaml": kustomization(namespace, "a", "./a"),
            "clusters/b.yaml": kustomization(namespace, "b", "./b"),
            "clusters/c.yaml": kustomization(namespace, "c", "./c"),
            "a/moves.yaml": config_map(namespace, "moves"),
            "a/goes.yaml": config_map(namespace, "goes"),
            "a/stays.yaml": config_map(namespace, "stays"),
            "b/kustomization.yaml": resources("gone.yaml", "../shared"),
            "c/other.yaml": config_map(namespace, "other"),
            "shared/kustomization.yaml": resources("shared.yaml"),
            "shared/shared.yaml": config_map(namespace, "shared"),
        },
        "b cannot be built",
    )
    agent = new_agent(fleet, "--path=clusters", "--allow-mass-prune").start()
    agent.wait_for("kustomization cannot be built", kustomization=f"{namespace}/b")
    cluster = Cluster(kubectl, namespace)
    for name in ("a", "c"):
        cluster.wait(name)
    return agent, cluster


def uid(kubectl: Cli, namespace: str) -> str:
    return kubectl("get", "configmap", "moves", "-n", namespace, "-o", "jsonpath={.metadata.uid}")


def kept(agent: AgentProcess, namespace: str, commit: str, name: str = "moves") -> None:
    line = agent.wait_for("object kept", object=f"ConfigMap/{namespace}/{name}", commit=commit[:7])
    assert line.fields["why"].startswith(f"sync/{namespace}/b may want it: b/kustomization.yaml:"), line


def test_what_a_commit_drops_that_has_not_touched_it_goes(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    agent, cluster = begun(new_agent, fleet, kubectl, namespace)
    commit = fleet.commit({"a/goes.yaml": None, "clusters/c.yaml": None, "README.md": "words"}, "less")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/goes", commit=commit[:7])
    kubectl("wait", "--for=delete", "kustomization/c", "-n", namespace, "--timeout=60s")
    assert cluster.maps().keys() == {"moves", "stays"}
    assert not agent.said("object kept")


def test_what_moved_into_it_stays_through_other_commits_and_a_restart(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    agent, cluster = begun(new_agent, fleet, kubectl, namespace)
    before = uid(kubectl, namespace)
    into = {"a/moves.yaml": None, "b/moves.yaml": config_map(namespace, "moves")}
    kept(agent, namespace, fleet.commit(into, "into its directory"))
    commit = fleet.commit({"a/goes.yaml": None}, "something else")
    agent.wait_for("object deleted", object=f"ConfigMap/{namespace}/goes", commit=commit[:7])
    agent.kill()
    count = len(agent.lines)
    agent.start()
    commit = fleet.commit({"a/more.yaml": config_map(namespace, "more")}, "more")
    agent.wait_for("object created", after=count, object=f"ConfigMap/{namespace}/more", commit=commit[:7])
    assert uid(kubectl, namespace) == before

    fleet.commit({"b/kustomization.yaml": resources("moves.yaml", "../shared")}, "b can be built")
    cluster.wait("b")
    assert cluster.maps().keys() == {"moves", "stays", "more", "other", "shared"}
    assert uid(kubectl, namespace) == before


def test_what_moved_into_a_base_of_it_stays(new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str) -> None:
    agent, cluster = begun(new_agent, fleet, kubectl, namespace)
    before = uid(kubectl, namespace)
    base = {
        "shared/kustomization.yaml": resources("shared.yaml", "moves.yaml"),
        "shared/moves.yaml": config_map(namespace, "moves"),
    }
    kept(agent, namespace, fleet.commit({"a/moves.yaml": None, **base}, "into a base"))
    fleet.commit({"b/kustomization.yaml": resources("../shared")}, "b can be built")
    cluster.wait("b")
    assert cluster.maps().keys() == {"moves", "goes", "stays", "other", "shared"}
    assert uid(kubectl, namespace) == before
