"""Each of many is within its bounds, and all of one tenant's at once come to more than there is."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cluster
from tests.e2e.admission import slow_to_admit
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostiletenants import KUSTOMIZATION, Tenant, bad, git_repository, honest, served
from tests.e2e.hostility import GRACE
from tests.e2e.kustomizations import kustomization
from tests.e2e.limits import limited
from tests.e2e.manifests import config_map
from tests.e2e.watching import Watch, is_ready, says
from tests.git.git_world import HttpGit, Repository, http_git
from tests.until import ask_until

__all__ = ["bad", "honest", "served"]

#: Directories that are built, and the ConfigMaps of each, which come to 15 MiB.
BUILDS, MAPS, MAP = 40, 20, 750_000
#: So many of them do not fit into so much memory.
MANY_BUILT, FEW = 10, 500 << 20
#: Seconds that a ConfigMap takes where the API server has to ask somebody about it.
SLOW = 12.0
#: Releases, each with a repository and a values file of its own.
VALUES = 10
#: Git servers and the repositories of each.
SERVERS, OF_SERVER = 4, 8


def large_map(namespace: str, name: str) -> str:
    metadata = {"name": name, "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "x" * MAP}})


def many_large(namespace: str) -> dict[str, str | None]:
    """Kustomizations of one directory, each of which makes something else of it."""
    files: dict[str, str | None] = {
        "large/kustomization.yaml": json.dumps({**KUSTOMIZATION, "resources": [f"{n}.yaml" for n in range(MAPS)]})
    }
    files |= {f"large/{number}.yaml": large_map(namespace, f"m{number}") for number in range(MAPS)}
    for number in range(BUILDS):
        fields = {"namePrefix": f"p{number}-", "wait": False}
        files[f"clusters/p{number}.yaml"] = kustomization(namespace, f"p{number}", "./large", **fields)
    return files


@pytest.mark.timeout(600)
def test_what_waits_to_be_built_takes_no_memory(
    new_agent: NewAgent, fleet: Fleet, honest: Tenant, bad: Tenant, namespace: str
) -> None:
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")

    with limited(agent.pid) as memory:
        fleet.commit(many_large(bad.namespace), "forty large ones")
        agent.wait_for("object created", object=f"Kustomization/{bad.namespace}/p9")
        two = fleet.commit(
            {
                "clusters/honest.yaml": kustomization(namespace, "honest", "./honest"),
                "honest/kustomization.yaml": json.dumps({**KUSTOMIZATION, "resources": ["one.yaml"]}),
                "honest/one.yaml": config_map(namespace, "one"),
            },
            "an honest one",
        )
        agent.wait_for("object created", object=f"Kustomization/{namespace}/honest")
        honest.until_applied("honest", two)
        ask_until(bad.count, lambda count: count >= 3 * MAPS, "some are applied", timeout=200)

    memory.check()
    assert agent.stop(GRACE) == 0


@pytest.mark.timeout(600)
def test_what_waits_to_be_applied_takes_no_memory(
    new_agent: NewAgent,
    fleet: Fleet,
    bad: Tenant,
    namespace: str,
    background: Background,
    control_plane: Cluster,
    tmp_path: Path,
) -> None:
    """Somebody whom the API server asks takes his time: all of them had been built by then, and were in memory."""
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")

    def waiting() -> list[str]:
        return [name for name, text in bad.messages().items() if text.startswith("memory for its objects")]

    with limited(agent.pid, FEW) as memory, slow_to_admit(background, control_plane, tmp_path, bad.namespace, SLOW):
        fleet.commit(many_large(bad.namespace), "forty large ones")
        ask_until(waiting, lambda names: len(names) >= MANY_BUILT, "many wait for room", timeout=400)

    memory.check()
    agent.kill()


@pytest.mark.timeout(400)
def test_values_files_without_end_are_an_error_of_their_own_releases(
    agent: AgentProcess, fleet: Fleet, served: HttpGit, releases: Watch, namespace: str, bad: Tenant
) -> None:
    files: dict[str, str | None] = dict(chart_files())
    for number in range(VALUES):
        name = f"v{number}"
        Repository.make(served.root / name).commit({**chart_files(), "big.yaml": f"# {name}\n" + "# x\n" * (30 << 20)})
        source = git_repository(bad.namespace, name, f"{served.url}/{name}")
        text = in_git(bad.namespace, name).replace("name: flux-system}", f"name: {name}}}")
        text = text.replace("      chart: ", "      valuesFiles: [big.yaml]\n      chart: ")
        files[f"fleet/{name}.yaml"] = f"{source}\n---\n{text}"
    fleet.commit({**chart_files(), f"fleet/{namespace}.yaml": in_git(namespace, "first")}, "an honest one")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("release installed", release=f"{namespace}/first")

    with limited(agent.pid) as memory:
        fleet.commit(files, "values of 120 MB each")
        releases.first(f"{bad.namespace}/v0", says("larger than"), timeout=120)
        fleet.commit({f"fleet/{namespace}-2.yaml": in_git(namespace, "second")}, "another honest one")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest))
        for number in range(VALUES):
            releases.first(f"{bad.namespace}/v{number}", says("larger than"), timeout=120)

    memory.check()
    assert agent.stop(GRACE) == 0


def of_differences(repository: Repository) -> None:
    """A pack of some ten kilobytes: files of 15 MiB, each of which is the one before with a few bytes changed."""
    lines = [f"line {number} of {repository.path.name}\n" for number in range(600_000)]
    chance = random.Random(1)  # the same each time
    for number in range(20):
        for _ in range(50):
            lines[chance.randrange(len(lines))] = f"{chance.random()}\n"
        (repository.path / f"{number}.txt").write_text("".join(lines))
    repository.commit({}, "files that are almost the same")
    repository.git("-c", "core.bigFileThreshold=100m", "repack", "-a", "-d", "-q", "--window=4", "--depth=50")


@pytest.fixture
def servers(background: Background, tmp_path: Path) -> Iterator[list[str]]:
    """The addresses of Git servers that all have the same repository, under any number of names."""
    folder = tmp_path / "unfolding"
    folder.mkdir()
    of_differences(Repository.make(folder / "r0"))
    for number in range(1, OF_SERVER):
        (folder / f"r{number}").symlink_to("r0")
    contexts = [http_git(folder) for _ in range(SERVERS)]
    yield [background.run(context.__aenter__()).url for context in contexts]
    for context in contexts:
        background.run(context.__aexit__(None, None, None))


@pytest.mark.timeout(400)
def test_packs_that_unfold_are_an_error_of_their_own_repositories(
    new_agent: NewAgent,
    fleet: Fleet,
    served: HttpGit,
    servers: list[str],
    honest: Tenant,
    bad: Tenant,
    namespace: str,
) -> None:
    files: dict[str, str | None] = {}
    for server, url in enumerate(servers):
        for number in range(OF_SERVER):
            name = f"s{server}-r{number}"
            files[f"clusters/{name}.yaml"] = git_repository(bad.namespace, name, f"{url}/r{number}")
    team = Repository.make(served.root / "team")
    commit = team.commit({"one.yaml": config_map(namespace, "one")})
    fleet.commit({"clusters/none.yaml": config_map(namespace, "none")}, "nothing yet")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("sync finished")

    with limited(agent.pid) as memory:
        fleet.commit(files, "as many as may be fetched at once")
        agent.until(lambda line: "there is no memory" in str(line.fields.get("error", "")), "the bound is said")
        source = git_repository(namespace, "source", f"{served.url}/team")
        directory = kustomization(namespace, "good", "./", sourceRef={"kind": "GitRepository", "name": "source"})
        fleet.commit({"clusters/good.yaml": f"{source}\n---\n{directory}"}, "an honest one")
        agent.wait_for("object created", object=f"Kustomization/{namespace}/good")
        honest.until_applied("good", commit)

    memory.check()
    assert agent.stop(GRACE) == 0
