"""What may be used of a kubeconfig that somebody put into a Secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config import ConfigException

from gitsync.cluster import CONFINED, Cluster, KubeconfigAllowance
from gitsync.cluster.access.secretconfig import confined
from gitsync.errors import KubeConfigRefused

CLUSTER = {"server": "https://there.example:6443", "certificate-authority-data": "Q0E="}
USER = {"token": "t0ken"}


def kubeconfig(cluster: Any = CLUSTER, user: Any = USER, **changes: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "there",
        "contexts": [{"name": "there", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.example"}},
            {"name": "c", "cluster": cluster},
        ],
        "users": [{"name": "u", "user": user}],
        **changes,
    }


def test_nothing_but_the_current_context_is_left() -> None:
    found = confined(kubeconfig({**CLUSTER, "extensions": [1]}, {**USER, "username": "u"}), CONFINED)
    assert [item["cluster"] for item in found["clusters"]] == [CLUSTER]
    assert [item["user"] for item in found["users"]] == [{**USER, "username": "u"}]
    assert "other.example" not in json.dumps(found)
    (context,) = found["contexts"]
    assert context["name"] == found["current-context"]


@pytest.mark.parametrize(
    ("cluster", "user", "complaint"),
    [
        (
            {**CLUSTER, "certificate-authority": "/etc/ca"},
            USER,
            "cluster.certificate-authority is refused: it names a file",
        ),
        (CLUSTER, {"client-certificate": "/a", "client-key-data": "x"}, "user.client-certificate is refused: it names"),
        (CLUSTER, {"client-certificate-data": "x", "client-key": "/a"}, "user.client-key is refused: it names a file"),
        (CLUSTER, {"tokenFile": "/var/run/secrets/token"}, "user.tokenFile is refused: it names a file"),
        (CLUSTER, {"exec": {"command": "sh"}}, "user.exec is refused: no program is run"),
        (CLUSTER, {"auth-provider": {"name": "oidc"}}, "user.auth-provider is refused"),
        (CLUSTER, {**USER, "as": "admin"}, "user.as is refused: spec.serviceAccountName says"),
        (
            {**CLUSTER, "insecure-skip-tls-verify": True},
            USER,
            "cluster.insecure-skip-tls-verify: credentials are sent only to servers that prove who they are",
        ),
        ({"server": "http://there.example"}, USER, "cluster.server is not https"),
        ({}, USER, "its cluster has no server"),
        ({"server": ["https://x"]}, USER, "its cluster has no server"),
        ("text", USER, "no cluster of the name"),
        (CLUSTER, None, "no user of the name"),
    ],
)
def test_what_reaches_beyond_the_secret_is_refused(cluster: Any, user: Any, complaint: str) -> None:
    with pytest.raises(ConfigException, match=complaint):
        confined(kubeconfig(cluster, user), CONFINED)


def test_settings_can_allow_plugins_and_unverified_servers_but_never_files() -> None:
    leave = KubeconfigAllowance(exec=True, insecure_tls=True)
    plugin = {"exec": {"command": "aws", "apiVersion": "client.authentication.k8s.io/v1"}}
    found = confined(kubeconfig({**CLUSTER, "insecure-skip-tls-verify": True}, plugin), leave)
    assert found["users"][0]["user"] == plugin
    assert found["clusters"][0]["cluster"]["insecure-skip-tls-verify"] is True
    assert confined(kubeconfig({"server": "http://there.example"}), leave)
    with pytest.raises(ConfigException, match="tokenFile"):
        confined(kubeconfig(user={"tokenFile": "/a"}), leave)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it is no kubeconfig"),
        ("- a", "it is no kubeconfig"),
        ("a: [", "it is no YAML"),
        ("{}", "no context of the name"),
        (json.dumps(kubeconfig(clusters="none")), "no cluster of the name"),
        (
            json.dumps(kubeconfig({**CLUSTER, "certificate-authority-data": "c2VjcmV0"})),
            "a certificate or key cannot be used",
        ),
        (json.dumps(kubeconfig({**CLUSTER, "certificate-authority-data": 5})), "cannot use the kubeconfig"),
        (json.dumps(kubeconfig({"server": "https://me:pass@there.example"})), "holds a user name or password"),
        (
            json.dumps(kubeconfig({"server": "https://there.example", "proxy-url": "socks5://x"})),
            "proxy is not supported",
        ),
        (
            json.dumps(kubeconfig({"server": "https://there.example"}, {"token": "two\nlines-secret"})),
            "the token is not one line",
        ),
    ],
)
async def test_what_is_no_kubeconfig_is_refused_without_a_word_of_it(text: str, complaint: str) -> None:
    with pytest.raises(KubeConfigRefused, match=complaint) as caught:
        await Cluster.remote(text, CONFINED)
    assert "secret" not in str(caught.value)
    assert "pass@" not in str(caught.value)


async def test_a_plugin_that_is_allowed_is_run(tmp_path: Path) -> None:
    status = {"token": "from-the-plugin"}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    (tmp_path / "credential").write_text(json.dumps(answer))
    plugin = {"apiVersion": answer["apiVersion"], "command": "cat", "args": [str(tmp_path / "credential")]}
    text = json.dumps(kubeconfig({"server": "https://there.example"}, {"exec": plugin}))
    async with await Cluster.remote(text, KubeconfigAllowance(exec=True)) as cluster:
        assert cluster._connection.access.authorization == "Bearer from-the-plugin"


async def test_the_helm_sdk_gets_what_was_left_of_it() -> None:
    async with await Cluster.remote(json.dumps(kubeconfig({"server": "https://there.example"})), CONFINED) as cluster:
        access = cluster.helm_access()
        assert json.loads(access["kubeconfig_content"])["users"][0]["user"] == USER
        there = cluster.impersonating("shop", "deployer")
        assert there.helm_access() == {**access, "kube_as_user": "system:serviceaccount:shop:deployer"}
        await there.close()  # ends nothing of the other's
        assert not cluster._connection.closed
