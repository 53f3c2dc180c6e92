"""kubectl on the sandbox and on a real control plane."""

from __future__ import annotations

import json

import pytest

from tests.contract.comparing import Json
from tests.contract.stories import deployment
from tests.controlplane.cluster import Cli
from tests.controlplane.errors import CommandError


def test_what_kubectl_shows_and_changes(kubectl: Cli, namespace: str) -> None:
    in_namespace = ("--namespace", namespace)
    kubectl("create", "deployment", "web", "--image=web:1", "--replicas=2", *in_namespace)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s", *in_namespace)
    header, row = kubectl("get", "deployments", *in_namespace).splitlines()
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:4] == ["web", "2/2", "2", "2"]
    header, *rows = kubectl("get", "pods", *in_namespace).splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[1:4] for line in rows] == [["1/1", "Running", "0"]] * 2
    kubectl("set", "image", "deployment/web", "web=web:2", *in_namespace)
    kubectl("rollout", "status", "deployment/web", "--timeout=60s", *in_namespace)
    kubectl("create", "secret", "generic", "login", "--from-literal=user=me", *in_namespace)
    assert kubectl("get", "secret", "login", "-o", "jsonpath={.data.user}", *in_namespace) == "bWU="
    kubectl("annotate", "secret", "login", "a=b", *in_namespace)
    kubectl("delete", "secret", "login", "--wait", *in_namespace)
    assert kubectl("auth", "can-i", "delete", "pods", *in_namespace).strip() == "yes"


def test_what_kubectl_applies(kubectl: Cli, namespace: str) -> None:
    def apply(manifest: Json, *flags: str) -> str:
        return kubectl("apply", "-f", "-", "--namespace", namespace, *flags, stdin=json.dumps(manifest))

    first = deployment()
    assert apply(first) == "deployment.apps/web created\n"
    assert apply(first) == "deployment.apps/web unchanged\n"
    first["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "B", "value": "2"}]
    assert apply(first) == "deployment.apps/web configured\n"
    env = "jsonpath={.spec.template.spec.containers[0].env[*].name}"
    assert kubectl("get", "deployment", "web", "-o", env, "--namespace", namespace) == "B"
    assert apply(first, "--server-side") == "deployment.apps/web serverside-applied\n"
    with pytest.raises(CommandError, match="unknown field"):
        apply(deployment(replcias=1))
