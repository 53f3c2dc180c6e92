"""A repository of a few kilobytes may hold more files and objects than there is memory for."""

from __future__ import annotations

import functools

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.hostiletenants import Tenant, bad, git_repository, honest, served
from tests.e2e.hostility import GRACE
from tests.e2e.kustomizations import kustomization
from tests.e2e.limits import limited
from tests.e2e.manifests import config_map
from tests.git.git_world import HttpGit, Repository
from tests.until import ask_until

__all__ = ["bad", "honest", "served"]

#: Repositories with more paths than are taken, and with just as many as are, all of one file.
TOO_MANY = {"too-many": 120_000}
MANY = {f"many-{number}": 99_000 for number in range(5)}
#: Objects of a commit.
OBJECTS = 12_000
#: Objects of a Kustomization that are almost as many as it may have.
ALMOST = 3_900
LISTS = "the lists of the files of the sources of namespace {} would take more than 40 MiB of memory"


def of_one_file(repository: Repository, paths: int) -> None:
    """A commit with a file under so many long names, which takes some hundred kilobytes."""
    blob = repository.git("hash-object", "-w", "--stdin", stdin=f"x: {repository.path.name}\n".encode())
    names = "".join(f"100644 blob {blob}\t{'a-name-that-is-long-' * 5}{number}.yaml\n" for number in range(1000))
    tree = repository.git("mktree", stdin=names.encode())
    folders = "".join(f"040000 tree {tree}\tfolder-{number}\n" for number in range(paths // 1000))
    top = repository.git("mktree", stdin=folders.encode())
    commit = repository.git("commit-tree", top, "-m", "one file under many names")
    repository.git("update-ref", "refs/heads/main", commit)


@pytest.mark.timeout(300)
def test_files_without_end_are_an_error_of_their_own_repositories(
    new_agent: NewAgent, fleet: Fleet, served: HttpGit, honest: Tenant, bad: Tenant, kubectl: Cli, namespace: str
) -> None:
    files: dict[str, str | None] = {}
    for name, paths in (TOO_MANY | MANY).items():
        of_one_file(Repository.make(served.root / name), paths)
        source = git_repository(bad.namespace, name, f"{served.url}/{name}")
        built = kustomization(bad.namespace, name, "./", sourceRef={"kind": "GitRepository", "name": name})
        files[f"clusters/{name}.yaml"] = f"{source}\n---\n{built}"
    commit = Repository.make(served.root / "team").commit({"one.yaml": config_map(namespace, "one")})
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")
    said = functools.partial(told, kubectl, bad.namespace)

    with limited(agent.pid) as memory:
        fleet.commit(files, "repositories with files without end")
        ask_until(said, lambda told: "over the limit of 100,000" in told.get("too-many", ""), "the bound is said")
        source = git_repository(namespace, "source", f"{served.url}/team")
        directory = kustomization(namespace, "good", "./", sourceRef={"kind": "GitRepository", "name": "source"})
        fleet.commit({"clusters/good.yaml": f"{source}\n---\n{directory}"}, "an honest one")
        agent.wait_for("object created", object=f"Kustomization/{namespace}/good")
        honest.until_applied("good", commit)
        # Each has a list that is taken, and is refused as too much for one build; or one for which there is no room.
        ask_until(bad.messages, lambda told: len(told) == len(files), "all are refused", timeout=120)
        refused = [name for name in MANY if said()[name] == LISTS.format(bad.namespace)]

    memory.check()
    assert 0 < len(refused) < len(MANY)
    hints = {line.fields.get("hint", "") for line in agent.said("git repository cannot be read")}
    assert any(hint.startswith("name fewer or smaller sources") for hint in hints)
    assert agent.stop(GRACE) == 0


def told(kubectl: Cli, namespace: str) -> dict[str, str]:
    """What the GitRepositories of a namespace say of themselves."""
    kind = "gitrepositories.source.toolkit.fluxcd.io"
    path = '{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].message}{"\\n"}{end}'
    lines = kubectl("get", kind, "-n", namespace, "-o", f"jsonpath={path}").splitlines()
    return {name: said for name, _, said in (line.partition("=") for line in lines)}


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
        fleet.commit(files, "thousands of objects")
        agent.wait_for("object created", object=f"Kustomization/{bad.namespace}/many")
        two = fleet.commit(
            {
                "clusters/honest.yaml": kustomization(namespace, "honest", "./honest"),
                "honest/one.yaml": config_map(namespace, "one"),
            },
            "an honest one",
        )
        agent.wait_for("object created", object=f"Kustomization/{namespace}/honest")
        honest.until_applied("honest", two)
        refused = f"{OBJECTS} objects are more than the 4000 that a Kustomization may have"
        ask_until(bad.messages, lambda told: refused in told.get("many", ""), "the bound is said", timeout=400)
        assert bad.maps() == {}

    memory.check()
    assert agent.stop(GRACE) == 0


@pytest.mark.timeout(600)
def test_a_kustomization_with_almost_as_many_objects_as_it_may_have_leaves_others_their_memory(
    new_agent: NewAgent, fleet: Fleet, honest: Tenant, bad: Tenant, namespace: str
) -> None:
    files: dict[str, str | None] = {f"many/{it}.yaml": config_map(bad.namespace, f"m{it}") for it in range(ALMOST)}
    files["clusters/many.yaml"] = kustomization(bad.namespace, "many", "./many", wait=False)
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")

    with limited(agent.pid) as memory:
        many = fleet.commit(files, "thousands of objects")
        agent.wait_for("object created", object=f"Kustomization/{bad.namespace}/many")
        two = fleet.commit(
            {
                "clusters/honest.yaml": kustomization(namespace, "honest", "./honest"),
                "honest/one.yaml": config_map(namespace, "one"),
            },
            "an honest one",
        )
        agent.wait_for("object created", object=f"Kustomization/{namespace}/honest")
        honest.until_applied("honest", two)
        ask_until(bad.count, lambda count: count >= ALMOST, f"all of {many} are applied", timeout=400)
        ask_until(bad.messages, lambda told: not told, "and that is said", timeout=100)

    memory.check()
    assert agent.stop(GRACE) == 0
