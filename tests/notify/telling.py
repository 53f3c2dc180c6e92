"""Notices, and targets to send them to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.notify.notice import Notice
from gitsync.notify.target import Target

TOKEN = "t0ken-of-the-service"


COMMIT = CommitInfo("3f2a91c" + "0" * 33, "Ann", "redis: persistence off")


AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


GOOD = Notice(
    key=ObjectKey("kustomize.toolkit.fluxcd.io", "Kustomization", "apps", "web"),
    api_version="kustomize.toolkit.fluxcd.io/v1",
    uid="7d0cdc51-ddcf-4743-b223-83ca5c699632",
    severity="info",
    reason="ReconciliationSucceeded",
    message="Applied revision: main@sha1:" + COMMIT.id,
    at=AT,
    revision="main@sha1:" + COMMIT.id,
    commit=COMMIT,
    metadata={"env": "test"},
    summary="a test cluster",
)


BAD = replace(GOOD, severity="error", reason="HealthCheckFailed", message="it <!channel> [x](y) & @everyone failed")


def target(kind: str, url: str, **more: Any) -> Target:
    key = ObjectKey("notification.toolkit.fluxcd.io", "Provider", "apps", "it")
    return Target(key, kind, url, uid="0c9c2e41-d2f9-4f9b-9c41-bebc1984d67a", token=TOKEN, **more)
