"""The agent's own repository, when its commits have to be signed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.configmaps import config_map
from tests.e2e.conftest import NewAgent
from tests.e2e.harness import AgentProcess, Fleet
from tests.git.git_world import Repository
from tests.git.signing import Signer, pgp_signer, sign_head, ssh_signer
from tests.until import ask_until

REFUSED = "commit is not verified and not applied"


def signed(fleet: Fleet, files: dict[str, str | None], subject: str, signer: Signer) -> str:
    """A commit that is signed from the moment on at which it is on the branch."""
    repository = Repository(fleet.path)
    if (fleet.path / ".git/refs/heads/main").exists():
        repository.git("checkout", "--quiet", "--detach", "main")
    else:
        repository.git("checkout", "--quiet", "--orphan", "new")
    fleet.commit(files, subject)
    commit = sign_head(repository, signer)
    repository.git("checkout", "--quiet", "-B", "main", commit)
    return commit


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    return tmp_path / "keys"


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet, keys: Path) -> AgentProcess:
    return new_agent(fleet, "--branch=main", f"--verify-keys={keys}")


def text(kubectl: Cli, namespace: str, name: str = "app") -> str:
    return kubectl("get", "configmap", name, "-n", namespace, "-o", "jsonpath={.data.text}", "--ignore-not-found")


def test_what_nobody_trusted_has_signed_is_not_applied_and_says_whose_key_is_missing(
    agent: AgentProcess, fleet: Fleet, keys: Path, kubectl: Cli, namespace: str
) -> None:
    ann, bob, mallory = pgp_signer(), ssh_signer(), ssh_signer()
    (keys / "ann.asc").write_text(ann.public)
    (keys / "bob.pub").write_text(bob.public)
    good = signed(fleet, {"app.yaml": config_map(namespace, "app", text="one")}, "signed by Ann", ann)
    agent.start().wait_for("sync finished", commit=good[:7])
    assert text(kubectl, namespace) == "one"

    bad = fleet.commit({"app.yaml": config_map(namespace, "app", text="bad")}, "not signed", author="Mallory")
    line = agent.wait_for(REFUSED, commit=bad[:7])
    assert (line.fields["author"], line.fields["kept"]) == ("Mallory", good[:7])
    assert f"signature verification of commit '{bad}' failed: it is not signed" in line.fields["error"]
    worse = signed(fleet, {"app.yaml": config_map(namespace, "app", text="worse")}, "signed by Mallory", mallory)
    line = agent.wait_for(REFUSED, commit=worse[:7])
    assert (line.fields["key"], line.fields["kept"]) == (mallory.name, good[:7])
    assert bob.name in line.fields["error"], "whose would have been good"
    assert text(kubectl, namespace) == "one"

    better = signed(fleet, {"app.yaml": config_map(namespace, "app", text="two")}, "signed by Bob", bob)
    agent.wait_for("sync finished", commit=better[:7])
    assert text(kubectl, namespace) == "two"
    last = signed(fleet, {"app.yaml": config_map(namespace, "app", text="three")}, "signed by Mallory", mallory)
    agent.wait_for(REFUSED, commit=last[:7])
    (keys / "mallory.pub").write_text(mallory.public)
    agent.wait_for("sync finished", commit=last[:7])
    assert text(kubectl, namespace) == "three", "a key that is added counts without a restart"


def test_after_a_restart_the_commit_before_goes_on_to_be_what_is_wanted(
    agent: AgentProcess, fleet: Fleet, keys: Path, kubectl: Cli, namespace: str
) -> None:
    ann = pgp_signer()
    (keys / "ann.asc").write_text(ann.public)
    good = signed(fleet, {"app.yaml": config_map(namespace, "app", text="one")}, "signed by Ann", ann)
    agent.start().wait_for("sync finished", commit=good[:7])
    assert agent.stop() == 0
    bad = fleet.commit({"app.yaml": config_map(namespace, "app", text="bad")}, "not signed")
    kubectl("delete", "configmap", "app", "-n", namespace)
    before = agent.count
    agent.start().wait_for(REFUSED, commit=bad[:7], kept=good[:7], after=before)
    agent.wait_for("object created", object=f"ConfigMap/{namespace}/app", commit=good[:7], after=before)
    assert text(kubectl, namespace) == "one"


def test_without_a_commit_that_is_signed_nothing_is_applied_and_once_fails(
    new_agent: NewAgent, fleet: Fleet, keys: Path, kubectl: Cli, namespace: str
) -> None:
    (keys / "ann.asc").write_text(pgp_signer().public)
    bad = fleet.commit({"app.yaml": config_map(namespace, "app", text="bad")}, "not signed")
    once = new_agent(fleet, "--once", f"--verify-keys={keys}")
    assert once.start().wait() == 1
    once.wait_for(REFUSED, commit=bad[:7], kept="none")
    assert text(kubectl, namespace) == ""


@pytest.mark.parametrize(
    ("content", "why"), [(None, "cannot be read"), ("x", "line 1 holds no SSH public key of a kind that can sign")]
)
def test_keys_that_cannot_be_used_are_an_error_at_the_start(
    new_agent: NewAgent, fleet: Fleet, tmp_path: Path, content: str | None, why: str
) -> None:
    fleet.commit({"app.yaml": ""}, "nothing")
    if content is not None:
        (tmp_path / "trusted").write_text(content)
    agent = new_agent(fleet, f"--verify-keys={tmp_path / 'trusted'}")
    assert agent.start().wait() == 1
    assert why in "".join(agent.raw)


def test_an_empty_directory_of_keys_is_an_error_too(agent: AgentProcess, fleet: Fleet) -> None:
    fleet.commit({"app.yaml": ""}, "nothing")
    assert agent.start().wait() == 1
    assert "there are no keys" in "".join(agent.raw)


def bootstrap(fleet: Fleet, signer: Signer, mode: str = "HEAD") -> dict[str, str | None]:
    """What a repository of ``flux bootstrap`` has, with ``verify``."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "keys", "namespace": "flux-system"},
        "stringData": {"ann.sshpub": signer.public},
    }
    own: dict[str, Any] = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "spec": {
            "interval": "1m",
            "ref": {"branch": "main"},
            "url": "ssh://git@git.example/team/fleet",
            "verify": {"mode": mode, "secretRef": {"name": "keys"}},
        },
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}}
    return {f"{item['kind']}.json.yaml": json.dumps(item) for item in (namespace, secret, own)}


def said(kubectl: Cli, kind: str) -> tuple[str, str, str]:
    found = json.loads(kubectl("get", "gitrepository", "flux-system", "-n", "flux-system", "-o", "json"))
    conditions = {item["type"]: item for item in (found.get("status") or {}).get("conditions") or ()}
    item = conditions.get(kind, {})
    return item.get("status", ""), item.get("reason", ""), item.get("message", "")


def test_what_the_repositorys_own_gitrepository_asks_for_is_heeded(
    new_agent: NewAgent, fleet: Fleet, kubectl: Cli, namespace: str
) -> None:
    ann = ssh_signer()
    agent = new_agent(fleet, "--branch=main").start()
    good = signed(fleet, {**bootstrap(fleet, ann), "app.yaml": config_map(namespace, "app", text="one")}, "verify", ann)
    agent.wait_for("sync finished", commit=good[:7])
    message = f"verified signature of\n\t- commit '{good}' with key '{ann.name}'"
    ask_until(lambda: said(kubectl, "SourceVerified"), lambda it: it == ("True", "Succeeded", message), "verified")
    bad = fleet.commit({"app.yaml": config_map(namespace, "app", text="bad")}, "not signed")
    agent.wait_for(REFUSED, commit=bad[:7], kept=good[:7])
    refused = ask_until(lambda: said(kubectl, "SourceVerified"), lambda it: it[0] == "False", "refused")
    assert refused[1] == "InvalidCommitSignature"
    assert said(kubectl, "Ready")[:2] == ("False", "InvalidCommitSignature")
    assert text(kubectl, namespace) == "one"
    assert agent.stop() == 0
    before = agent.count
    agent.start().wait_for(REFUSED, commit=bad[:7], kept=good[:7], after=before)

    code, _, output = agent.ended("plan", f"--repo={fleet.path}", "--branch=main", f"--name={name_of(agent)}")
    assert code == 1
    assert f"signature verification of commit '{bad}' failed: it is not signed" in output
    better = signed(fleet, {"app.yaml": config_map(namespace, "app", text="two")}, "signed", ann)
    agent.wait_for("sync finished", commit=better[:7], after=before)
    assert text(kubectl, namespace) == "two"
    ask_until(lambda: said(kubectl, "Ready")[0], lambda it: it == "True", "ready again")


def name_of(agent: AgentProcess) -> str:
    return next(item for item in agent.arguments if item.startswith("--name=")).removeprefix("--name=")
