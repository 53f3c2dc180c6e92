"""A repository of a few kilobytes may hold more files and objects than there is memory for."""

from __future__ import annotations

import functools

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.limits import limited
from tests.e2e.manifests import config_map
from tests.e2e.test_e2e_hostile import GRACE
from tests.e2e.test_e2e_hostile_builds import Tenant, bad, git_repository, honest, served
from tests.e2e.test_e2e_kustomization import kustomization
from tests.git.git_world import HttpGit, Repository
from tests.until import ask_until

__all__ = ["bad", "honest", "served"]

#: Paths of a repository, of one file; and of one that has just as many as are taken.
PATHS, MOST = 200_000, 99_000
#: Objects of a commit.
OBJECTS = 20_000
REPOSITORIES = 5


def of_one_file(repository: Repository, paths: int, text: str = "x\n") -> str:
    """A commit with this file under so many names, which takes some hundred kilobytes; its id."""
    blob = repository.git("hash-object", "-w", "--stdin", stdin=text.encode())
    names = "".join(f"100644 blob {blob}\t{'a-name-that-is-long-' * 5}{number}.yaml\n" for number in range(1000))
    tree = repository.git("mktree", stdin=names.encode())
    folders = "".join(f"040000 tree {tree}\tfolder-{number}\n" for number in range(paths // 1000))
    top = repository.git("mktree", stdin=folders.encode())
    commit = repository.git("commit-tree", top, "-m", "one file under many names")
    repository.git("update-ref", "refs/heads/main", commit)
    return commit


@pytest.mark.timeout(600)
def test_files_without_end_are_an_error_of_their_own_repositories(
    new_agent: NewAgent, fleet: Fleet, served: HttpGit, honest: Tenant, bad: Tenant, kubectl: Cli, namespace: str
) -> None:
    files: dict[str, str | None] = {}
    for name, paths in (("too-many", PATHS), ("many", MOST)):
        for number in range(REPOSITORIES):
            where = f"{name}-{number}"
            of_one_file(Repository.make(served.root / where), paths, f"text: x{number}\n")
            big = git_repository(bad.namespace, where, f"{served.url}/{where}")
            built = kustomization(bad.namespace, where, "./", sourceRef={"kind": "GitRepository", "name": where})
            files[f"clusters/{where}.yaml"] = f"{big}\n---\n{built}"
    team = Repository.make(served.root / "team")
    commit = team.commit({"one.yaml": config_map(namespace, "one")})
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")

    with limited(agent.pid) as memory:
        fleet.commit(files, "repositories with files without end")
        for number in range(REPOSITORIES):
            asked = functools.partial(ready, kubectl, bad.namespace, f"too-many-{number}")
            ask_until(asked, lambda said: "over the limit of 100,000" in said, "the bound is said", timeout=240)
        good = git_repository(namespace, "source", f"{served.url}/team")
        source = {"kind": "GitRepository", "name": "source"}
        directory = kustomization(namespace, "good", "./", sourceRef=source)
        fleet.commit({"clusters/good.yaml": f"{good}\n---\n{directory}"}, "an honest one")
        honest.is_ready("good", commit)
        ask_until(bad.messages, lambda told: len(told) == 2 * REPOSITORIES, "all are refused", timeout=240)

    memory.check()
    assert agent.stop(GRACE) == 0


def ready(kubectl: Cli, namespace: str, name: str) -> str:
    """What a GitRepository says of itself."""
    kind = "gitrepositories.source.toolkit.fluxcd.io"
    path = '{.status.conditions[?(@.type=="Ready")].message}'
    return kubectl("get", kind, name, "-n", namespace, "-o", f"jsonpath={path}", "--ignore-not-found")


@pytest.mark.timeout(600)
def test_more_objects_than_a_kustomization_may_have_are_an_error_before_one_is_applied(
    new_agent: NewAgent, fleet: Fleet, honest: Tenant, bad: Tenant, namespace: str
) -> None:
    files: dict[str, str | None] = {
        f"many/{number // 500}/{number}.yaml": config_map(bad.namespace, f"m{number}") for number in range(OBJECTS)
    }
    files["clusters/many.yaml"] = kustomization(bad.namespace, "many", "./many")
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")

    with limited(agent.pid) as memory:
        fleet.commit(files, "twenty thousand objects")
        agent.wait_for("object created", object=f"Kustomization/{bad.namespace}/many")
        two = fleet.commit(
            {
                "clusters/honest.yaml": kustomization(namespace, "honest", "./honest"),
                "honest/one.yaml": config_map(namespace, "one"),
            },
            "an honest one",
        )
        honest.is_ready("honest", two)
        refused = f"{OBJECTS} objects are more than the 4000 that a Kustomization may have"
        ask_until(bad.messages, lambda told: refused in told.get("many", ""), "the bound is said", timeout=400)
        assert bad.maps() == {}

    memory.check()
    assert agent.stop(GRACE) == 0
