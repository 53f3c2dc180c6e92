"""Kustomizations with SOPS: what is encrypted in Git is plain in the cluster, and nowhere else."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.conftest import NewAgent
from tests.e2e.encrypted import PASSWORD, closed, key, password, secret
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.kustomizations import Cluster, kustomization
from tests.e2e.manifests import config_map
from tests.sopsfiles import AgeKey, age_key, encrypted, program
from tests.until import ask_until

__all__ = ["key", "password"]

TOKEN = "open-sesame-token-7"
DECRYPTION = {"provider": "sops", "secretRef": {"name": "sops-age"}}
Password = Callable[[str], str | None]


def spellings(text: str) -> Iterator[str]:
    """How it would stand in a log or a file."""
    yield text
    for before in ("", "x", "xx"):
        yield base64.b64encode((before + text).encode()).decode()[4:-4]


@pytest.fixture
def cluster(kubectl: Cli, namespace: str) -> Cluster:
    return Cluster(kubectl, namespace)


@pytest.fixture
def agent(new_agent: NewAgent, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> AgentProcess:
    monkeypatch.setenv("PATH", f"{program('sops').parent}:{os.environ['PATH']}")
    agent = new_agent(fleet, "--path=clusters", "--log-level=debug")
    temporary = agent.directory / "tmp"
    temporary.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(temporary))
    return agent


@pytest.fixture
def give_key(kubectl: Cli, namespace: str) -> Callable[[AgeKey], None]:
    """Puts a key into the Secret."""

    def give(key: AgeKey) -> None:
        entries = {"identity.agekey": base64.b64encode(key.text.encode()).decode()}
        metadata = {"name": "sops-age", "namespace": namespace}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": entries}
        kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    return give


def apps(namespace: str, **spec: Any) -> str:
    return kustomization(namespace, "apps", "./apps", targetNamespace=namespace, decryption=DECRYPTION, **spec)


def nobody_tells(agent: AgentProcess, kubectl: Cli, namespace: str, *texts: str) -> None:
    """None of these is in what the agent has written: its log, its files, and what it has said in the cluster."""
    told = {"the log": agent.log}
    kinds = "events,configmaps,kustomizations.kustomize.toolkit.fluxcd.io"
    told["the cluster"] = kubectl("get", kinds, "--all-namespaces", "-o", "yaml", "--show-managed-fields")
    told |= {str(file): file.read_bytes().decode("latin-1") for file in agent.directory.rglob("*") if file.is_file()}
    for file in (file for place in Path("/dev/shm").glob("gitsync-*") for file in place.rglob("*")):
        with suppress(OSError):  # a directory, or another agent's that has just gone
            told[str(file)] = file.read_bytes().decode("latin-1")
    for text in texts:
        for spelling in spellings(text):
            assert [place for place, found in told.items() if spelling in found] == []


def test_what_is_encrypted_is_applied_and_told_to_nobody(
    agent: AgentProcess,
    fleet: Fleet,
    cluster: Cluster,
    kubectl: Cli,
    namespace: str,
    key: AgeKey,
    give_key: Callable[[AgeKey], None],
    password: Callable[[str], str | None],
) -> None:
    """An object, a file of a generator, and an object that the API server refuses, quoting it."""
    give_key(key)
    refused = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: refused\n  labels:\n    a: '{TOKEN} is no label'\n"
    first = fleet.commit(
        {
            "clusters/apps.yaml": apps(namespace),
            "apps/kustomization.yaml": (
                "resources: [login.yaml]\n"
                "secretGenerator: [{name: vars, envs: [vars.env], options: {disableNameSuffixHash: true}}]\n"
            ),
            "apps/login.yaml": closed(secret("login"), key),
            "apps/vars.env": encrypted(f"password={TOKEN}\n", key, "dotenv").decode(),
        },
        "two secrets",
    )
    agent.start().wait_for("object created", object=f"Secret/{namespace}/login", commit=first[:7])
    cluster.wait("apps")
    assert (password("login"), password("vars")) == (PASSWORD, TOKEN)
    live = json.loads(kubectl("get", "secret", "login", "-n", namespace, "-o", "json"))
    assert "sops" not in live

    second = fleet.commit({"apps/login.yaml": closed(secret("login", PASSWORD + "x"), key)}, "another password")
    agent.wait_for("object changed", object=f"Secret/{namespace}/login", commit=second[:7])
    assert password("login") == PASSWORD + "x"

    text = encrypted(refused, key, "yaml", "--encrypted-regex", "^labels$").decode()
    kustomized = "resources: [login.yaml, refused.yaml]\n"
    third = fleet.commit({"apps/refused.yaml": text, "apps/kustomization.yaml": kustomized}, "a label that is none")
    failed = agent.wait_for("object failed", object=f"ConfigMap/{namespace}/refused", commit=third[:7])
    assert "metadata.labels" in failed.fields["error"]
    cluster.wait("apps", "condition=Ready=False")
    agent.stop()
    nobody_tells(agent, kubectl, namespace, PASSWORD, TOKEN, key.identity)


def test_what_is_to_stay_encrypted_is_applied_as_it_is(
    agent: AgentProcess,
    fleet: Fleet,
    cluster: Cluster,
    key: AgeKey,
    namespace: str,
    password: Password,
    give_key: Callable[[AgeKey], None],
) -> None:
    """By a Kustomization that decrypts, by one that does not, and by the sync of the directory itself."""
    give_key(key)
    disabled = "  annotations: {kustomize.toolkit.fluxcd.io/decrypt: Disabled}\n"

    def stays(name: str) -> str:
        return closed(secret(name).replace("metadata:\n", f"metadata:\n  namespace: {namespace}\n{disabled}"), key)

    fleet.commit(
        {
            "clusters/apps.yaml": apps(namespace),
            "clusters/plain.yaml": kustomization(namespace, "plain", "./plain"),
            "clusters/secret.yaml": stays("root"),
            "apps/secret.yaml": stays("apps"),
            "plain/secret.yaml": stays("plain"),
        },
        "they stay encrypted",
    )
    agent.start().wait_for("sync finished")
    for name in ("apps", "plain"):
        cluster.wait(name)
    for name in ("root", "apps", "plain"):
        assert str(password(name)).startswith("ENC[AES256_GCM,")


def test_a_key_that_comes_later_opens_at_once_and_nothing_is_applied_half(
    agent: AgentProcess,
    fleet: Fleet,
    cluster: Cluster,
    kubectl: Cli,
    namespace: str,
    key: AgeKey,
    give_key: Callable[[AgeKey], None],
    password: Callable[[str], str | None],
) -> None:
    """First there is no Secret with keys, then one with another key, then the one; then what was opened is encrypted
    for a new key."""
    files = {
        "clusters/apps.yaml": apps(namespace),
        "apps/plain.yaml": config_map(namespace, "plain"),
        "apps/login.yaml": closed(secret("login"), key),
    }
    fleet.commit(files, "a secret")
    agent.start().wait_for("kustomization has to wait", kustomization=f"{namespace}/apps")
    cluster.wait("apps", "condition=Ready=False")
    assert "sops-age" in _ready(cluster)["message"]

    other = age_key()
    give_key(other)
    line = agent.wait_for("kustomization cannot be built", kustomization=f"{namespace}/apps")
    assert line.fields["file"] == "apps/login.yaml:1:1"
    said = f"encrypted for {key.recipient}; none of the keys in Secret/{namespace}/sops-age opens it"
    assert said in line.fields["error"]
    ask_until(lambda: _ready(cluster)["message"], lambda message: said in message, "the condition says so")
    assert _ready(cluster)["reason"] == "BuildFailed"
    assert (cluster.maps(), password("login")) == ({}, None)

    give_key(key)
    agent.wait_for("object created", object=f"Secret/{namespace}/login")
    cluster.wait("apps")
    assert (set(cluster.maps()), password("login")) == ({"plain"}, PASSWORD)

    files["apps/login.yaml"] = closed(secret("login", TOKEN), other)
    count = agent.count
    fleet.commit({**files, "apps/plain.yaml": None}, "for a new key")
    agent.wait_for("kustomization cannot be built", kustomization=f"{namespace}/apps", after=count)
    assert (set(cluster.maps()), password("login")) == ({"plain"}, PASSWORD), "nothing is pruned either"
    give_key(other)
    agent.wait_for("object changed", object=f"Secret/{namespace}/login", after=count)
    cluster.wait("apps")
    assert (cluster.maps(), password("login")) == ({}, TOKEN)
    agent.stop()
    nobody_tells(agent, kubectl, namespace, PASSWORD, TOKEN, key.identity, other.identity)


def test_without_a_secret_of_its_own_the_one_of_the_settings_counts(
    agent: AgentProcess,
    fleet: Fleet,
    cluster: Cluster,
    kubectl: Cli,
    namespace: str,
    key: AgeKey,
    password: Callable[[str], str | None],
) -> None:
    """It is in another namespace, and is watched there; of it, only keys of age count."""
    kubectl("create", "namespace", f"{namespace}-keys")
    agent.arguments += [f"--namespace={namespace}-keys", "--sops-age-secret=keys"]
    spec = apps(namespace).replace(json.dumps(DECRYPTION), json.dumps({"provider": "sops"}))
    fleet.commit({"clusters/apps.yaml": spec, "apps/login.yaml": closed(secret("login"), key)}, "a secret")
    waits = agent.start().wait_for("kustomization has to wait", kustomization=f"{namespace}/apps")
    assert "which the setting sops_age_secret names, does not exist" in waits.fields["why"]
    entries = [f"--from-literal=a.agekey={key.identity}", "--from-literal=sops.aws-kms=not-even-looked-at"]
    kubectl("create", "secret", "generic", "keys", "-n", f"{namespace}-keys", *entries)
    agent.wait_for("object created", object=f"Secret/{namespace}/login")
    cluster.wait("apps")
    assert password("login") == PASSWORD
    agent.stop()
    nobody_tells(agent, kubectl, namespace, PASSWORD, key.identity)
    kubectl("delete", "namespace", f"{namespace}-keys", "--wait=false")


#: The flags of an agent that `gitsync plan` has, too.
PLANNED = ("--repo", "--name", "--path", "--sops")


@pytest.mark.parametrize("by", ["kustomization", "settings"])
def test_what_is_encrypted_in_the_directory_of_the_agent_itself(
    by: str,
    agent: AgentProcess,
    fleet: Fleet,
    cluster: Cluster,
    kubectl: Cli,
    namespace: str,
    key: AgeKey,
    give_key: Callable[[AgeKey], None],
    password: Callable[[str], str | None],
) -> None:
    """As flux bootstrap has it, in a directory with a kustomization.yaml, and without any Kustomization. What has
    nothing to do with the key does not wait for it."""
    files = {
        "clusters/plain.yaml": config_map(namespace, "plain"),
        "clusters/login.yaml": closed(
            secret("login").replace("name: login", f"name: login\n  namespace: {namespace}"), key
        ),
        "clusters/vars/kustomization.yaml": f"namespace: {namespace}\nresources: [vars.yaml]\n",
        "clusters/vars/vars.yaml": closed(secret("vars", TOKEN), key),
    }
    if by == "settings":
        agent.arguments += [f"--namespace={namespace}", "--sops-age-secret=sops-age"]
    else:
        files["clusters/sync.yaml"] = kustomization(namespace, "flux-system", "./clusters", decryption=DECRYPTION)
    first = fleet.commit(files, "two secrets")
    agent.start().wait_for("object created", object=f"ConfigMap/{namespace}/plain", commit=first[:7])
    agent.wait_for("sync finished with failures", commit=first[:7])
    problems = [line.fields for line in agent.lines if "sops-age" in json.dumps(dict(line.fields))]
    assert {str(fields.get("file")).partition(":")[0] for fields in problems} >= {"clusters/login.yaml"}, problems
    assert password("login") is None
    code, plan, errors = agent.ended("plan", *(flag for flag in agent.arguments if flag.startswith(PLANNED)))
    assert code == 1
    assert "clusters/login.yaml:1:1: encrypted with SOPS; Secret/" in errors
    assert f"ConfigMap/{namespace}/plain" not in plan, "all but what is encrypted is compared"

    give_key(key)
    agent.wait_for("object created", object=f"Secret/{namespace}/login")
    agent.wait_for("object created", object=f"Secret/{namespace}/vars")
    assert (password("login"), password("vars")) == (PASSWORD, TOKEN)
    code, plan, errors = agent.ended("plan", *(flag for flag in agent.arguments if flag.startswith(PLANNED)))
    assert (code, "login" in plan) == (0, False), f"{plan}{errors}"
    second = fleet.commit({"clusters/login.yaml": None}, "no login")
    agent.wait_for("object deleted", object=f"Secret/{namespace}/login", commit=second[:7])
    agent.stop()
    nobody_tells(agent, kubectl, namespace, PASSWORD, TOKEN, key.identity)


def test_a_plan_shows_that_something_encrypted_changes_and_never_how(
    agent: AgentProcess, fleet: Fleet, cluster: Cluster, namespace: str, key: AgeKey, give_key: Callable[[AgeKey], None]
) -> None:
    """Of any kind; also where the API server quotes what it would refuse."""
    give_key(key)

    def settings(text: str, **labels: str) -> str:
        metadata = {"name": "settings", "labels": labels}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}
        return encrypted(json.dumps(manifest), key, "yaml", "--encrypted-regex", "^(data|labels)$").decode()

    def planned() -> str:
        _, plan, errors = agent.ended("plan", *(flag for flag in agent.arguments if flag.startswith(PLANNED)))
        return f"{plan}{errors}"

    files = {"clusters/apps.yaml": apps(namespace), "apps/settings.yaml": settings(PASSWORD)}
    fleet.commit(files, "encrypted settings")
    agent.start().wait_for("object created", object=f"ConfigMap/{namespace}/settings")
    cluster.wait("apps")
    agent.stop()
    fleet.commit({"apps/settings.yaml": settings(PASSWORD + "-new")}, "other settings")
    changed = planned()
    fleet.commit({"apps/settings.yaml": settings(PASSWORD, a=f"{TOKEN} is no label")}, "a label that is none")
    refused = planned()
    assert f"ConfigMap/{namespace}/settings" in changed
    assert "masked:" in changed
    assert "metadata.labels" in refused
    for text in (PASSWORD, TOKEN):
        assert text not in changed + refused


def test_a_damaged_file_and_a_missing_program_are_named(
    agent: AgentProcess,
    new_agent: NewAgent,
    fleet: Fleet,
    cluster: Cluster,
    namespace: str,
    key: AgeKey,
    give_key: Callable[[AgeKey], None],
    password: Callable[[str], str | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give_key(key)
    damaged = closed(secret("login"), key).replace("name: login", "name: other")
    fleet.commit({"clusters/apps.yaml": apps(namespace), "apps/login.yaml": damaged}, "changed by hand")
    line = agent.start().wait_for("kustomization cannot be built", kustomization=f"{namespace}/apps")
    assert line.fields["file"] == "apps/login.yaml:1:1"
    assert "changed after it was encrypted" in line.fields["error"]
    assert password("other") is None
    agent.stop()

    monkeypatch.setenv("PATH", _without_sops())
    fleet.commit({"apps/login.yaml": closed(secret("login"), key)}, "mended")
    poor = new_agent(fleet, "--path=clusters").start()
    failed = poor.wait_for("kustomization failed", kustomization=f"{namespace}/apps")
    assert "there is no sops on the PATH" in failed.fields["why"]
    ask_until(
        lambda: _ready(cluster)["message"], lambda message: "there is no sops" in message, "the condition says so"
    )
    assert password("login") is None
    poor.stop()
    assert len(poor.said("kustomization failed", kustomization=f"{namespace}/apps")) == 1


def _ready(cluster: Cluster) -> dict[str, str]:
    conditions = cluster.status("apps").get("conditions", [])
    return next(({**item} for item in conditions if item["type"] == "Ready"), {"reason": "", "message": ""})


def _without_sops() -> str:
    return ":".join(part for part in os.environ["PATH"].split(":") if not (Path(part) / "sops").exists())
