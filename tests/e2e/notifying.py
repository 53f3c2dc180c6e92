"""Alerts and Providers, and services that receive their notifications."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.background import Background
from tests.notify.receiving import Receiving

TOKEN = "xoxb-4711-very-secret"


API = "notification.toolkit.fluxcd.io/v1beta3"


@contextmanager
def receiving(background: Background, service: Receiving | None = None) -> Iterator[Receiving]:
    """A service that is up as long as it is entered."""
    found = service or Receiving()
    entered = found.serving()
    background.run(entered.__aenter__())
    try:
        yield found
    finally:
        background.run(entered.__aexit__(None, None, None))


def provider(namespace: str, name: str, kind: str, address: str, **spec: Any) -> str:
    """A Provider whose address is in a Secret, beside a token."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"address": address, "token": TOKEN},
    }
    found = {
        "apiVersion": API,
        "kind": "Provider",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": kind, "secretRef": {"name": name}, **spec},
    }
    return "\n---\n".join(map(json.dumps, (secret, found)))


def alert(namespace: str, name: str, **spec: Any) -> str:
    sources = [{"kind": "HelmRelease", "name": "*"}]
    manifest = {
        "apiVersion": API,
        "kind": "Alert",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"providerRef": {"name": name}, "eventSources": sources, **spec},
    }
    return json.dumps(manifest)
