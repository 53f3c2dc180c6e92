"""The room on a real API server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from helm_python import Chart, Config
from structlog.testing import capture_logs

from gitsync.api.identity import ObjectKey
from gitsync.cluster import CONFINED, Cluster, Timings, connection
from gitsync.cluster.access.credentials import InCluster
from gitsync.errors import (
    ClusterUnavailable,
    Forbidden,
    MissingRight,
    Unauthorized,
)
from tests.clock import Clock
from tests.cluster.conformance import (
    MANAGER,
    configmap,
    key,
    kubeconfig_through,
    live,
    test_a_dry_run_shows_what_would_be_and_changes_nothing,
    test_a_half_open_connection_is_noticed_and_nothing_is_missed,
    test_a_kind_comes_and_goes_with_its_crd,
    test_a_list_of_several_pages_is_whole,
    test_a_namespace_on_its_way_out_counts_as_deleted,
    test_a_refused_secret_is_not_quoted,
    test_an_object_s_whole_life,
    test_errors_name_the_object_and_the_field,
    test_fields_of_others_are_taken_only_by_force,
    test_metadata_alone_can_be_watched,
    test_only_the_object_that_was_meant_is_deleted,
    test_the_largest_object_passes_through_apply_and_watch,
    test_what_is_there_already_is_not_created,
    test_writers_that_meet_all_get_through,
)
from tests.cluster.silentproxy import silent_proxy
from tests.controlplane.cluster import Cluster as ControlPlane
from tests.until import until

__all__ = [
    "live",
    "test_a_dry_run_shows_what_would_be_and_changes_nothing",
    "test_a_half_open_connection_is_noticed_and_nothing_is_missed",
    "test_a_kind_comes_and_goes_with_its_crd",
    "test_a_list_of_several_pages_is_whole",
    "test_a_namespace_on_its_way_out_counts_as_deleted",
    "test_a_refused_secret_is_not_quoted",
    "test_an_object_s_whole_life",
    "test_errors_name_the_object_and_the_field",
    "test_fields_of_others_are_taken_only_by_force",
    "test_metadata_alone_can_be_watched",
    "test_only_the_object_that_was_meant_is_deleted",
    "test_the_largest_object_passes_through_apply_and_watch",
    "test_what_is_there_already_is_not_created",
    "test_writers_that_meet_all_get_through",
]


async def test_the_api_server_s_warnings_reach_the_caller(live: Cluster, namespace: str) -> None:
    labels = {"pod-security.kubernetes.io/warn": "restricted"}
    await live.patch(ObjectKey("", "Namespace", "", namespace), {"metadata": {"labels": labels}}, manager=MANAGER)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "careless", "namespace": namespace},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }
    warnings: list[str] = []
    await live.apply(pod, manager=MANAGER, dry_run=True, warn=warnings.append)
    assert warnings[0].startswith('would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false')


async def test_an_api_server_that_is_away_is_said_once_and_its_return_once(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    server = urlsplit(control_plane.server)
    timings = Timings(backoff=0.01, backoff_max=0.02, away=0.3)

    def said() -> list[tuple[str, str]]:
        return [(line["log_level"], line["event"]) for line in lines if "API server" in line["event"]]

    async with silent_proxy(str(server.hostname), server.port or 443) as proxy:
        config = kubeconfig_through(proxy, control_plane, tmp_path)
        with capture_logs() as lines:
            async with (
                await Cluster.connect(kubeconfig=config, timings=timings) as through,
                through.watch("", "ConfigMap", namespace=namespace),
                through.watch("", "Secret", namespace=namespace),
            ):
                away: list[float] = []
                through.on_return.append(away.append)
                proxy.go_away()
                await until(lambda: len(said()) == 1)
                assert away == []
                with pytest.raises(ClusterUnavailable):
                    await through.get(key(namespace))
                proxy.away = False
                await until(lambda: len(said()) == 2)

    assert said() == [
        ("warning", "API server does not answer, it is asked again and again"),
        ("info", "API server answers again"),
    ]
    told = [line for line in lines if "API server" in line["event"]]
    assert {line["server"] for line in told} == {f"https://127.0.0.1:{proxy.port}"}
    assert told[1]["after"] == f"{away[0]:.0f}s"
    assert len(away) == 1


@pytest.fixture
async def service_account(live: Cluster, namespace: str, control_plane: ControlPlane) -> Callable[[], str]:
    """A service account that may read ConfigMaps in ``namespace``; gives tokens for it."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "agent", "namespace": namespace}}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "agent", "namespace": namespace},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "agent", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "agent"},
        "subjects": [{"kind": "ServiceAccount", "name": "agent", "namespace": namespace}],
    }
    for manifest in (account, role, binding):
        await live.apply(manifest, manager=MANAGER)

    def token() -> str:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/agent/token"
        answer = control_plane.request("POST", path, {"spec": {"expirationSeconds": 3600}})
        given: str = answer["status"]["token"]
        return given

    return token


@pytest.fixture
def pod(control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InCluster:
    """What a pod of the cluster finds around it, its token still to be written to ``tmp_path/token``."""
    server = urlsplit(control_plane.server)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setenv("KUBECONFIG", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    return InCluster(Timings(token=3600.0), str(tmp_path / "token"), str(control_plane.ca_file))


async def test_a_pod_uses_its_service_account_and_reads_its_token_again(
    namespace: str,
    tmp_path: Path,
    service_account: Callable[[], str],
    pod: InCluster,
    live: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(connection, "time", clock)
    await live.apply(configmap(namespace), manager=MANAGER)
    (tmp_path / "token").write_text(service_account() + "\n")
    async with await Cluster.connect_through(pod, Timings(renewal=0.0)) as inside:
        assert (await inside.get(key(namespace)))["metadata"]["name"] == "settings"
        with pytest.raises(Forbidden) as caught:
            await inside.apply(configmap(namespace), manager=MANAGER)
        assert caught.value.key == key(namespace)
        (tmp_path / "token").write_text("no longer good")
        clock.advance(3600)
        with pytest.raises(Unauthorized):
            await inside.get(key(namespace))
        (tmp_path / "token").write_text(service_account())
        assert (await inside.get(key(namespace)))["metadata"]["name"] == "settings"


CHART = {
    "Chart.yaml": "apiVersion: v2\nname: asks\nversion: 1.0.0\n",
    "templates/found.yaml": (
        'found: {{ (lookup "v1" "ConfigMap" .Release.Namespace "settings").data.who | default "nobody" }}\n'
    ),
}


def render(chart: Path, namespace: str, access: dict[str, Any]) -> str:
    with Config(namespace=namespace, **access) as config, Chart.load(chart) as loaded:
        return str(config.render(loaded, name="asks", namespace=namespace))


async def test_helm_sees_the_same_cluster_as_the_same_user(
    namespace: str, tmp_path: Path, service_account: Callable[[], str], pod: InCluster, live: Cluster
) -> None:
    for path, content in CHART.items():
        (tmp_path / "chart" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chart" / path).write_text(content)
    await live.apply(configmap(namespace, who="somebody"), manager=MANAGER)
    (tmp_path / "token").write_text(service_account() + "\n")
    async with await Cluster.connect_through(pod) as inside:
        for cluster in (live, inside):
            rendered = await asyncio.to_thread(render, tmp_path / "chart", namespace, cluster.helm_access())
            assert "found: somebody" in rendered


async def test_a_service_account_is_impersonated_with_its_groups_and_its_rights_alone(
    live: Cluster, control_plane: ControlPlane, namespace: str
) -> None:
    account = live.impersonating(namespace, "deployer")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    answer = await account.create(review, manager=MANAGER)
    assert answer["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:deployer"
    assert set(answer["status"]["userInfo"]["groups"]) == {
        "system:serviceaccounts",
        f"system:serviceaccounts:{namespace}",
        "system:authenticated",
    }
    with pytest.raises(MissingRight) as caught:
        await account.apply(configmap(namespace), manager=MANAGER)
    assert caught.value.message == (
        f'cannot apply ConfigMap/{namespace}/settings: configmaps "settings" is forbidden: User '
        f'"system:serviceaccount:{namespace}:deployer" cannot patch resource "configmaps" in API group "" in the '
        f'namespace "{namespace}"; a RoleBinding in namespace {namespace} has to let ServiceAccount '
        f"{namespace}/deployer patch configmaps"
    )
    with pytest.raises(MissingRight, match="a ClusterRoleBinding has to let ServiceAccount"):
        await account.list("", "Node")
    assert await live.find(key(namespace)) is None
    with pytest.raises(MissingRight, match='cannot list resource "configmaps"'):
        async with account.watch("", "ConfigMap", namespace=namespace):
            pass
    await account.close()
    assert await live.apply(configmap(namespace), manager=MANAGER), "the connection is not the account's to close"


async def test_who_may_not_impersonate_is_told_so(control_plane: ControlPlane, namespace: str) -> None:
    token = control_plane.request(
        "POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 3600}}
    )["status"]["token"]
    kubeconfig = {
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": {"server": control_plane.server, **authority(control_plane)}}],
        "users": [{"name": "it", "user": {"token": token}}],
    }
    async with await Cluster.remote(json.dumps(kubeconfig), CONFINED) as remote:
        with pytest.raises(MissingRight, match=f"let ServiceAccount {namespace}/default impersonate serviceaccounts"):
            await remote.impersonating(namespace, "deployer").get(key(namespace))


def authority(control_plane: ControlPlane) -> dict[str, str]:
    return {"certificate-authority-data": base64.b64encode(control_plane.ca_file.read_bytes()).decode()}
