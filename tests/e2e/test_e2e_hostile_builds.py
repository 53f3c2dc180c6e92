"""One tenant's directories take long to build, or more memory than there is, or never come, and the agent that serves
everybody goes on."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostiletenants import KUSTOMIZATION, Tenant, bad, git_repository, honest, served
from tests.e2e.hostility import GRACE
from tests.e2e.kustomizations import kustomization
from tests.e2e.limits import limited
from tests.e2e.manifests import config_map
from tests.e2e.tenants import tenant
from tests.git.git_world import HttpGit, Repository
from tests.until import ask_until

__all__ = ["bad", "honest", "served"]

#: kustomize needs the square of this: more than it is given.
ENDLESS = 9000
#: A ConfigMap that a patch copies into itself so often that it has 2 ** 24 values.
COPIES = [{"op": "copy", "from": "/data", "path": f"/data/a{number}"} for number in range(24)]


def hostile_directories(namespace: str) -> dict[str, str]:
    many = "\n---\n".join(config_map(namespace, f"many-{number}") for number in range(ENDLESS))
    bomb = {**KUSTOMIZATION, "patches": [{"patch": json.dumps(COPIES), "target": {"kind": "ConfigMap"}}]}
    return {
        "endless/kustomization.yaml": json.dumps(KUSTOMIZATION),
        "endless/all.yaml": many,
        "huge/kustomization.yaml": json.dumps(bomb),
        "huge/all.yaml": config_map(namespace, "small"),
    }


@pytest.mark.timeout(600)
def test_builds_that_never_end_or_take_all_memory_hold_up_nobody_else(
    new_agent: NewAgent, fleet: Fleet, honest: Tenant, bad: Tenant, namespace: str
) -> None:
    files: dict[str, str | None] = {**hostile_directories(bad.namespace), "clusters/bad.yaml": tenant(bad.namespace)}
    for number in range(20):
        for kind in ("endless", "huge"):
            name = f"{kind}-{number}"
            # With an account: nobody could tell else whether one that cannot be built wants what others drop.
            fields = {"namePrefix": f"{name}-", "serviceAccountName": "team"}
            files[f"clusters/{name}.yaml"] = kustomization(bad.namespace, name, f"./{kind}", **fields)
    fleet.commit(files, "forty that are up to no good")
    agent = new_agent(fleet, "--path=clusters")
    agent.start().wait_for("gitsync started")

    with limited(agent.pid) as memory:
        agent.wait_for("object created", object=f"Kustomization/{bad.namespace}/huge-9")
        directory = json.dumps({**KUSTOMIZATION, "resources": ["one.yaml", "two.yaml"]})
        two = fleet.commit(
            {
                "clusters/honest.yaml": kustomization(namespace, "honest", "./honest"),
                "honest/kustomization.yaml": directory,
                "honest/one.yaml": config_map(namespace, "one"),
                "honest/two.yaml": config_map(namespace, "two"),
            },
            "an honest one",
        )
        ask_until(honest.maps, lambda maps: set(maps) == {"one", "two"}, "it is applied", timeout=180)
        honest.until_applied("honest", two)
        one = fleet.commit({"honest/kustomization.yaml": directory.replace(', "two.yaml"', "")}, "it drops an object")
        honest.until_applied("honest", one)
        assert set(honest.maps()) == {"one"}
        assert len([name for name in bad.messages() if name.startswith("endless")]) == 20

        def too_large() -> list[str]:
            texts = bad.messages().values()
            return [it for it in texts if it.startswith("huge/kustomization.yaml") and "MiB of memory" in it]

        ask_until(too_large, bool, "the bound is said", timeout=120)
        memory.check()
    assert agent.stop(GRACE) == 0


def waits_for(agent: AgentProcess, repository: str, where: str) -> None:
    """It is said that one waits for an answer."""
    waiting = {"for": f"an answer of {where}", "repository": repository}
    agent.until(lambda line: line.says("waiting", **waiting), f"{repository} waits")


@pytest.mark.timeout(300)
def test_repositories_that_never_answer_hold_up_nobody_else(
    new_agent: NewAgent, fleet: Fleet, served: HttpGit, honest: Tenant, bad: Tenant, kubectl: Cli, namespace: str
) -> None:
    """As many as may be asked at once on behalf of a namespace, and more; of the same server as the honest one."""
    served.held = "/silent"
    served.gate.clear()
    source = {"kind": "GitRepository", "name": "source"}
    files: dict[str, str | None] = {}
    for number in range(40):
        name = f"silent-{number}"
        silent = git_repository(bad.namespace, name, f"{served.url}/{name}")
        files[f"clusters/{name}.yaml"] = f"{silent}\n---\n" + kustomization(
            bad.namespace, name, "./", sourceRef={**source, "name": name}
        )
    team = Repository.make(served.root / "team")
    commit = team.commit({"one.yaml": config_map(namespace, "one")})
    fleet.commit(files, "repositories that never answer")
    agent = new_agent(fleet, "--path=clusters")
    agent.start()
    with limited(agent.pid) as memory:
        waits_for(agent, f"{bad.namespace}/silent-0", f"{served.url}/silent-0")
        behind = git_repository(bad.namespace, "behind", f"{served.url}/team")
        fleet.commit({"clusters/behind.yaml": behind}, "and a good one, behind those")
        waits_for(agent, f"{bad.namespace}/behind", f"{served.url}/team")

        good = git_repository(namespace, "source", f"{served.url}/team")
        files = {"clusters/good.yaml": f"{good}\n---\n" + kustomization(namespace, "good", "./", sourceRef=source)}
        fleet.commit(files, "an honest one")
        ask_until(honest.maps, lambda maps: "one" in maps, "it is applied")
        honest.until_applied("good", commit)
        kinds = "kustomizations.kustomize.toolkit.fluxcd.io,gitrepositories.source.toolkit.fluxcd.io"
        kubectl("delete", kinds, "--all", "-n", bad.namespace, "--timeout=60s")
        memory.check()
    assert agent.stop(GRACE) == 0


@pytest.mark.timeout(300)
def test_words_of_git_that_nobody_knows_end_nothing(
    new_agent: NewAgent,
    fleet: Fleet,
    honest: Tenant,
    bad: Tenant,
    kubectl: Cli,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one repository from the start, and of the agent's own for a while."""
    git, away = shutil.which("git"), tmp_path / "away"
    wrapper = tmp_path / "programs" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f"""\
#!/bin/sh
case "$*" in
*odd.example*) echo "fatal: the moon is in the wrong house" >&2; exit 128 ;;
*{fleet.path}*) [ -e {away} ] && {{ echo "fatal: Resource temporarily unavailable" >&2; exit 128; }} ;;
esac
exec {git} "$@"
""")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    odd = git_repository(bad.namespace, "odd", "https://odd.example/odd")
    reads = {"sourceRef": {"kind": "GitRepository", "name": "odd"}}
    files: dict[str, str | None] = {
        "clusters/odd.yaml": f"{odd}\n---\n" + kustomization(bad.namespace, "odd", "./", **reads)
    }
    good = {
        "clusters/good.yaml": kustomization(namespace, "good", "./good"),
        "good/a.yaml": config_map(namespace, "one"),
    }
    fleet.commit({**files, **good}, "both")
    agent = new_agent(fleet, "--path=clusters", "--interval=1s").start()
    with limited(agent.pid) as memory:
        ask_until(honest.maps, lambda maps: "one" in maps, "it is applied")
        words = "-o=jsonpath={.status.conditions[?(@.type=='Ready')].message}"
        kind = "gitrepositories.source.toolkit.fluxcd.io"
        said = ("get", kind, "odd", "-n", bad.namespace, words)
        ask_until(lambda: kubectl(*said), lambda text: "the moon is in the wrong house" in text, "its words are shown")

        away.touch()
        agent.until(lambda line: "Resource temporarily unavailable" in str(line.fields), "they are said")
        fleet.commit({"good/b.yaml": config_map(namespace, "two")}, "while it is away")
        away.unlink()
        ask_until(honest.maps, lambda maps: "two" in maps, "it goes on")
        memory.check()
    assert agent.stop(GRACE) == 0
