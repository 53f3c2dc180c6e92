"""Alerts of events at the real Alertmanager, which is asked back."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gitsync.http import HttpClient
from gitsync.notify.sender import send
from gitsync.notify.services.registry import SERVICES
from tests.controlplane import binaries
from tests.controlplane.processes import Process, free_ports, listens
from tests.notify.telling import BAD, target

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Its URL."""
    port = free_ports(1)[0]
    (tmp_path / "config.yml").write_text(CONFIG)
    command = [
        str(binaries.ensure(binaries.ALERTMANAGER)),
        f"--config.file={tmp_path / 'config.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    process = Process("alertmanager", command, tmp_path / "log", outlive_parent=False)
    process.wait_until(lambda: listens(port), time.monotonic() + 60)
    yield f"http://127.0.0.1:{port}"
    process.stop()


async def test_an_event_is_an_alert_and_one_of_another_commit_is_the_same_alert(alertmanager: str) -> None:
    kind, http = SERVICES["alertmanager"], HttpClient()
    to = replace(target("alertmanager", f"{alertmanager}/api/v2/alerts"), token="")
    now = datetime.now(UTC)
    notices = [
        replace(BAD, at=now, revision="main", metadata={"example.com/a-b": "c", "0": "x"}),
        replace(BAD, at=now, revision="main", metadata={"example.com/a-b": "c", "0": "x"}, commit=None),
    ]
    for notice in notices:
        (post,) = kind.posts(to, [notice])
        await send(http, to, kind, post)
    await http.close()
    (alert,) = await asyncio.to_thread(_alerts, alertmanager)
    assert alert["labels"] == {
        "alertname": "FluxKustomizationHealthCheckFailed",
        "severity": "error",
        "reason": "HealthCheckFailed",
        "kind": "Kustomization",
        "name": "web",
        "namespace": "apps",
        "revision": "main",
        "a_b": "c",
        "_0": "x",
    }
    assert alert["annotations"]["message"] == BAD.message
    assert alert["annotations"]["summary"] == "a test cluster"


def _alerts(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts") as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found
