"""Bases of other repositories, named by URL in a kustomization.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e import kustomizations as here
from tests.e2e.background import Background
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import Fleet
from tests.e2e.kustomizations import kustomization
from tests.e2e.manifests import config_map
from tests.forked import run
from tests.git.git_world import HttpGit, Repository, http_git
from tests.until import ask_until


@pytest.fixture
def base(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "served" / "org" / "base")


@pytest.fixture
def server(background: Background, tmp_path: Path, base: Repository) -> Iterator[HttpGit]:
    serving = http_git(tmp_path / "served")
    yield background.run(serving.__aenter__())
    background.run(serving.__aexit__(None, None, None))


def test_a_base_is_fetched_where_that_is_allowed_and_followed_when_its_branch_moves(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, base: Repository, server: HttpGit, namespace: str
) -> None:
    cluster = here.Cluster(kubectl, namespace)
    both = {"deploy/kustomization.yaml": "resources: [one.yaml, two.yaml]\n"}
    maps = {f"deploy/{name}.yaml": config_map(namespace, name) for name in ("one", "two")}
    base.commit({**both, **maps})
    url = f"{server.url}/org/base//deploy?ref=main"
    fleet.commit(
        {
            "clusters/apps.yaml": kustomization(namespace, "apps", "./apps", interval="3s"),
            "apps/kustomization.yaml": f"resources:\n- own.yaml\n- {url}\n",
            "apps/own.yaml": config_map(namespace, "own"),
        },
        "a base of somebody else",
    )
    refusing = new_agent(fleet, "--path=clusters").start()
    said = refusing.wait_for("kustomization cannot be built", kustomization=f"{namespace}/apps").fields
    assert said["file"] == "apps/kustomization.yaml:3:3"
    assert "is remote: nothing is fetched" in said["error"]
    assert "allow_remote_bases" in said["hint"]
    assert cluster.maps() == {}
    assert server.seen == []
    refusing.stop()

    agent = new_agent(fleet, "--path=clusters", "--allow-remote-bases").start()
    ask_until(cluster.maps, lambda found: set(found) == {"own", "one", "two"}, "the base is applied")
    cluster.wait("apps")
    origin = kubectl(
        *("get", "configmap", "one", "-n", namespace, "-o", r"jsonpath={.metadata.annotations.gitsync\.dev/origin}")
    )
    assert origin.startswith(".gitsync-remote/127.0.0.1-")
    assert origin.endswith("/deploy/one.yaml:1:1")

    # Nothing of the repository changes: the branch of the base moves, and takes one along.
    base.commit({"deploy/kustomization.yaml": "resources: [one.yaml]\n", "deploy/two.yaml": None})
    ask_until(cluster.maps, lambda found: set(found) == {"own", "one"}, "the base has moved")
    server.status = 503
    agent.wait_for("kustomization cannot be built", kustomization=f"{namespace}/apps")
    cluster.wait("apps", "condition=Ready=False")
    assert set(cluster.maps()) == {"own", "one"}, "what cannot be read is not gone"
    server.status = 0
    cluster.wait("apps")


def test_the_repositorys_own_directory_may_have_one_and_validate_builds_it(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, base: Repository, server: HttpGit, namespace: str
) -> None:
    cluster = here.Cluster(kubectl, namespace)
    base.commit({"kustomization.yaml": "resources: [one.yaml]\n", "one.yaml": config_map(namespace, "one")})
    fleet.commit({"clusters/kustomization.yaml": f"resources: ['{server.url}/org/base//']\n"}, "all of it is elsewhere")
    agent = new_agent(fleet, "--path=clusters", "--allow-remote-bases", "--once")
    check = ["validate", "--no-charts", str(fleet.path / "clusters")]
    code, output, _ = run(check, dict(os.environ))
    assert code == 1
    assert "is remote: nothing is fetched" in output
    code, output, errors = run([*check, "--allow-remote-bases"], {**os.environ, "HOME": str(fleet.path.parent)})
    assert (code, output) == (0, ""), errors
    assert agent.start().wait() == 0
    assert set(cluster.maps()) == {"one"}
