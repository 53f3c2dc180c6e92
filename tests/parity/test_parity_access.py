"""Releases that are worked on as a ServiceAccount, or live in another cluster."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import binaries
from tests.controlplane.cluster import Cli, Cluster
from tests.controlplane.errors import ApiError
from tests.controlplane.plane import ControlPlane
from tests.parity import live
from tests.parity.looking import lines, logged, set_text, with_repository
from tests.parity.world import World

CORE = "/api/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ALL = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}]
ACCOUNT = "deployer"


def create(cluster: Cluster, place: str, name: str, **rest: Any) -> None:
    cluster.request("POST", place, {"metadata": {"name": name}, **rest})


def add_account(cluster: Cluster, namespace: str) -> None:
    create(cluster, f"{CORE}/namespaces/{namespace}/serviceaccounts", ACCOUNT)


def grant(cluster: Cluster, namespace: str, name: str, rules: list[dict[str, Any]], account_in: str = "") -> None:
    """A Role and a RoleBinding for the account of a namespace, of the same one unless said otherwise."""
    place = f"{RBAC}/namespaces/{namespace}"
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": account_in or namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    create(cluster, f"{place}/roles", name, rules=rules)
    create(cluster, f"{place}/rolebindings", name, roleRef=role, subjects=[subject])


def revoke(cluster: Cluster, namespace: str, name: str) -> None:
    for plural in ("rolebindings", "roles"):
        cluster.request("DELETE", f"{RBAC}/namespaces/{namespace}/{plural}/{name}")


def exists(cluster: Cluster, path: str) -> bool:
    try:
        cluster.request("GET", path)
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    return True


def refusal(namespace: str, verb: str, resource: str, group: str = "") -> str:
    user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
    return f'User "{user}" cannot {verb} resource "{resource}" in API group "{group}"'


def look_again(world: World) -> None:
    """gitsync would by itself, too, but in a while."""
    world.patch_spec(interval=f"{next(_hours)}h")


_hours = itertools.count(2)


def settled(world: World, reason: str, containing: str) -> None:
    """Wait until the release is not ready for this reason."""
    status = world.condition("Ready", "False", containing)
    assert [item["reason"] for item in status["conditions"] if item["type"] == "Ready"] == [reason]


def test_a_release_has_the_rights_of_its_service_account_and_no_others(world: World) -> None:
    world.deploy(
        "hooks", serviceAccountName=ACCOUNT, test={"enable": True}, driftDetection={"mode": "enabled"}, timeout="60s"
    )
    world.condition("Ready", "False", f"ServiceAccount {world.ours}/{ACCOUNT} does not exist")

    add_account(world.cluster, world.ours)
    status = world.condition("Ready", "False", refusal(world.ours, "list", "secrets"))
    (ready,) = [item for item in status["conditions"] if item["type"] == "Ready"]
    assert (
        f"a RoleBinding in namespace {world.ours} has to let ServiceAccount {world.ours}/{ACCOUNT}" in ready["message"]
    )

    grant(world.cluster, world.ours, "secrets", SECRETS)
    status = world.condition("Ready", "False", refusal(world.ours, "get", "serviceaccounts"))
    assert world.revisions() == [(1, "pending-install")], "the record is kept by the account, too"
    assert not status.get("failures")
    (released,) = [item for item in status["conditions"] if item["type"] == "Released"]
    assert (released["status"], released["reason"]) == ("False", "InstallFailed"), "as Flux says it"
    assert refusal(world.ours, "get", "serviceaccounts") in released["message"]

    grant(world.cluster, world.ours, "all", ALL)
    look_again(world)
    status = world.ready()
    assert world.revisions() == [(1, "deployed")], "rights that were missing spend no retry"
    assert not status.get("installFailures")
    (released,) = [item for item in status["conditions"] if item["type"] == "Released"]
    assert (released["status"], released["reason"]) == ("True", "InstallSucceeded")

    revoke(world.cluster, world.ours, "all")
    done = world.remove()
    settled(world, "UninstallFailed", f'resource "jobs" in API group "batch" in the namespace "{world.ours}"')
    grant(world.cluster, world.ours, "all", ALL)
    look_again(world)
    done()
    assert world.revisions() == []
    assert not exists(world.cluster, f"{CORE}/namespaces/{world.ours}/configmaps/demo")


def test_drift_is_put_back_by_the_service_account_and_one_that_is_gone_holds_nothing_up(world: World) -> None:
    add_account(world.cluster, world.ours)
    grant(world.cluster, world.ours, "all", ALL)
    world.deploy("plain", serviceAccountName=ACCOUNT, driftDetection={"mode": "enabled"})
    world.ready()

    grant(
        world.cluster, world.ours, "look", [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}]
    )
    revoke(world.cluster, world.ours, "all")
    set_text(world, "by hand")
    world.until(
        lambda: any(
            refusal(world.ours, "patch", "configmaps") in line["error"]
            for line in lines(world, "release will be tried again")
        ),
        "the account may not put it back",
    )
    assert not lines(world, "drift corrected")

    world.cluster.request("DELETE", f"{CORE}/namespaces/{world.ours}/serviceaccounts/{ACCOUNT}")
    world.remove()()
    (line,) = logged(world, "release is let go without being uninstalled")
    assert line["why"] == f"ServiceAccount {world.ours}/{ACCOUNT} does not exist"
    assert exists(world.cluster, f"{CORE}/namespaces/{world.ours}/configmaps/demo-settings")


def test_templates_see_what_the_service_account_sees(world: World) -> None:
    add_account(world.cluster, world.ours)
    grant(world.cluster, world.ours, "all", ALL)
    create(world.cluster, f"{CORE}/namespaces/{world.ours}/configmaps", "other", data={"value": "seen"})
    world.deploy("lookup", {"other": "other"}, serviceAccountName=ACCOUNT)
    world.condition(
        "Ready",
        "False",
        f"a template cannot look objects up: namespaces is forbidden: {refusal(world.ours, 'list', 'namespaces')}",
    )
    assert world.revisions() == []

    name = f"look-{world.ours}"
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.ours}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]
    create(world.cluster, f"{RBAC}/clusterroles", name, rules=rules)
    create(world.cluster, f"{RBAC}/clusterrolebindings", name, roleRef=role, subjects=[subject])
    world.ready()
    found = world.object(CORE, "configmaps", "demo")
    assert found is not None
    assert found["data"] == {"found": "true", "value": "seen", "namespaces": "true"}
    for plural in ("clusterrolebindings", "clusterroles"):
        world.cluster.request("DELETE", f"{RBAC}/{plural}/{name}")


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Another cluster, in which nothing runs."""
    plane = ControlPlane(tmp_path_factory.mktemp("remote"), binaries.ensure_all())
    yield plane.start(bare=True)
    plane.stop()


class Kubeconfigs:
    """The Secret that a release's kubeConfig names. Each method changes what it holds."""

    def __init__(self, world: World, remote: Cluster) -> None:
        self._world = world
        self._remote = remote
        self._place = f"{CORE}/namespaces/{world.ours}/secrets"

    def good(self) -> None:
        self._put(self._text())

    def with_user(self, **user: Any) -> None:
        self._put(self._text(user=user))

    def elsewhere(self, server: str) -> None:
        self._put(self._text(server=server))

    def gone(self) -> None:
        self._world.cluster.request("DELETE", f"{self._place}/remote")

    def _text(self, **changes: Any) -> str:
        authority = base64.b64encode(self._remote.ca_file.read_bytes()).decode()
        cluster = {"server": changes.get("server", self._remote.server), "certificate-authority-data": authority}
        return json.dumps(
            {
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "clusters": [{"name": "it", "cluster": cluster}],
                "users": [{"name": "it", "user": changes.get("user", {"token": self._remote.token})}],
            }
        )

    def _put(self, text: str) -> None:
        body = {"metadata": {"name": "remote"}, "data": {"value.yaml": base64.b64encode(text.encode()).decode()}}
        if exists(self._world.cluster, f"{self._place}/remote"):
            self._world.cluster.request("PUT", f"{self._place}/remote", body)
        else:
            self._world.cluster.request("POST", self._place, body)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_release_lives_in_the_cluster_of_its_kubeconfig(world: World, remote: Cluster, tmp_path: Path) -> None:
    kubeconfigs = Kubeconfigs(world, remote)
    ran = tmp_path / "ran"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "touch", "args": [str(ran)]}
    create(remote, f"{CORE}/namespaces", world.ours)
    values = {"objects": [config_map("inside", text="rendered")]}
    create(
        world.cluster, f"{CORE}/namespaces/{world.ours}/configmaps", "values", data={"values.yaml": json.dumps(values)}
    )
    world.deploy(
        "raw",
        kubeConfig={"secretRef": {"name": "remote"}},
        valuesFrom=[{"kind": "ConfigMap", "name": "values"}],
        targetNamespace=f"{world.ours}-made",
        releaseName="demo",
        install={"createNamespace": True},
    )
    # Each is woken by the change of the Secret.
    settled(world, "RESTClientError", f"Secret/{world.ours}/remote with key value or value.yaml does not exist")
    kubeconfigs.with_user(exec=plugin)
    settled(world, "RESTClientError", "user.exec is refused")
    kubeconfigs.with_user(tokenFile="/etc/hostname")
    settled(world, "RESTClientError", "user.tokenFile is refused: it names a file")
    kubeconfigs.elsewhere("https://127.0.0.1:1")
    settled(world, "ReconciliationFailed", "https://127.0.0.1:1 cannot be reached")
    kubeconfigs.with_user(token="not-" + remote.token)
    settled(world, "ReconciliationFailed", "the API server does not accept our credentials")
    assert not ran.exists()

    kubeconfigs.good()
    status = world.ready()
    assert not status.get("failures")
    inside = f"{CORE}/namespaces/{world.ours}-made/configmaps/inside"
    assert remote.request("GET", inside)["data"] == {"text": "rendered"}
    assert live.revisions(remote, world.ours, "demo") == [(1, "deployed")]
    assert world.revisions() == []
    assert not exists(world.cluster, f"{CORE}/namespaces/{world.ours}-made")

    after = replace(world, name="after")
    after.deploy("raw", {"objects": [config_map("here")]}, dependsOn=[{"name": "demo"}])
    after.ready()
    assert exists(world.cluster, f"{CORE}/namespaces/{world.ours}/configmaps/here")
    after.remove()()

    # As a ServiceAccount there, which nobody here knows.
    world.patch_spec(serviceAccountName=ACCOUNT)
    settled(world, "ReconciliationFailed", refusal(world.ours, "list", "secrets"))
    grant(remote, world.ours, "all", ALL)
    grant(remote, f"{world.ours}-made", "all", ALL, account_in=world.ours)
    look_again(world)
    world.ready()

    kubeconfigs.with_user(token="not-" + remote.token)
    done = world.remove()
    settled(world, "UninstallFailed", "the API server does not accept our credentials")
    kubeconfigs.good()
    done()
    assert not exists(remote, inside)
    assert live.revisions(remote, world.ours, "demo") == []


def test_a_kubeconfig_that_is_taken_away_does_not_keep_the_release_and_is_used_no_more(
    world: World, remote: Cluster
) -> None:
    create(remote, f"{CORE}/namespaces", world.ours)
    kubeconfigs = Kubeconfigs(world, remote)
    kubeconfigs.good()
    world.deploy("raw", {"objects": [config_map("inside")]}, kubeConfig={"secretRef": {"name": "remote"}})
    world.ready()
    kubeconfigs.gone()
    settled(world, "RESTClientError", "does not exist")
    world.remove()()
    assert exists(remote, f"{CORE}/namespaces/{world.ours}/configmaps/inside"), "though the way there was known still"
    assert logged(world, "release is let go without being uninstalled")

    world.deploy("raw", {"objects": []}, kubeConfig={"secretRef": {"name": "remote"}})
    settled(world, "RESTClientError", "does not exist")
    world.remove()()
    assert len(logged(world, "release is let go without being uninstalled", count=2)) == 2

    kubeconfigs.with_user(**{"auth-provider": {"name": "oidc"}})
    world.deploy("raw", {"objects": []}, kubeConfig={"secretRef": {"name": "remote"}})
    settled(world, "RESTClientError", "user.auth-provider is refused")
    world.remove()()
    assert len(logged(world, "release is let go without being uninstalled", count=3)) == 3


def test_a_namespace_goes_with_releases_account_and_kubeconfig(world: World, remote: Cluster, kubectl: Cli) -> None:
    namespace = f"{world.ours}-gone"
    create(world.cluster, f"{CORE}/namespaces", namespace)
    create(remote, f"{CORE}/namespaces", namespace)
    here = with_repository(world, namespace, "here")
    add_account(world.cluster, namespace)
    grant(world.cluster, namespace, "all", ALL)
    here.deploy("raw", {"objects": [config_map("here")]}, serviceAccountName=ACCOUNT)
    there = replace(here, name="there")
    Kubeconfigs(there, remote).good()
    there.deploy("raw", {"objects": [config_map("there")]}, kubeConfig={"secretRef": {"name": "remote"}})
    here.ready()
    there.ready()

    kubectl("delete", "namespace", namespace, "--wait", "--timeout=120s")
    assert not exists(remote, f"{CORE}/namespaces/{namespace}/configmaps/there"), "by the way that was known still"
