"""Deliveries to webhooks, as services send them, and the objects that take them."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from tests.controlplane.cluster import Cli
from tests.until import ask_until

TOKEN = "t0ken-of-the-webhook"


def push_body(commit: str = "", ref: str = "refs/heads/main") -> bytes:
    """The body of a delivery of GitHub about a push, in short."""
    return json.dumps({"ref": ref, "after": commit, "repository": {"name": "fleet"}}).encode()


def hub_signature(body: bytes, token: str = TOKEN, algorithm: str = "sha256") -> str:
    return f"{algorithm}={hmac.new(token.encode(), body, algorithm).hexdigest()}"


def github(body: bytes, event: str = "push", token: str = TOKEN) -> dict[str, str]:
    """The headers of a delivery of GitHub."""
    signature = hub_signature(body, token)
    return {"X-GitHub-Event": event, "X-Hub-Signature-256": signature, "Content-Type": "application/json"}


def path_of(name: str, namespace: str, token: str = TOKEN) -> str:
    """The path of a webhook, by Flux's formula."""
    return "/hook/" + hashlib.sha256(f"{token}{name}{namespace}".encode()).hexdigest()


def deliver(port: int, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Send a delivery: status and text of the answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, dict(headers or {}), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def receiver(namespace: str, name: str = "push", kind: str = "github", **spec: Any) -> str:
    spec = {"type": kind, "secretRef": {"name": "webhook"}, **spec}
    return json.dumps(
        {
            "apiVersion": "notification.toolkit.fluxcd.io/v1",
            "kind": "Receiver",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {field: value for field, value in spec.items() if value is not None},
        }
    )


def secret(namespace: str, token: str = TOKEN) -> str:
    metadata = {"name": "webhook", "namespace": namespace}
    return json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token}})


def read(kubectl: Cli, namespace: str, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return found


def until_path(kubectl: Cli, namespace: str, path: str, name: str = "push") -> None:
    """Wait until a Receiver's status has this webhookPath ("" for none)."""

    def said() -> tuple[str, int]:
        found = read(kubectl, namespace, "receiver", name)
        status = found.get("status") or {}
        generation = status.get("observedGeneration", -1)
        return status.get("webhookPath", ""), found["metadata"]["generation"] - generation

    ask_until(said, lambda it: it == (path, 0), f"the path of {name} is {path}")


def requested_at(kubectl: Cli, namespace: str, kind: str, name: str) -> str:
    annotations = read(kubectl, namespace, kind, name)["metadata"].get("annotations") or {}
    return str(annotations.get("reconcile.fluxcd.io/requestedAt", ""))
