"""Releases that have several revisions."""

from __future__ import annotations

from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.release.storage.record import Record, encode
from tests.web.conftest import World

HIDDEN, HIDDEN_BEFORE = "hunter2-never-shown", "hunter1-never-shown"


MANIFEST = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: redis}}
data: {{level: {level}, url: "redis://app:{password}@db"}}
---
apiVersion: v1
kind: Secret
metadata: {{name: redis-auth}}
stringData: {{password: {password}}}
"""


async def revision(world: World, number: int, status: Any, level: str, password: str) -> None:
    values = {"level": level, "auth": {"login": password}}
    record = Record(
        "redis",
        world.namespace,
        number,
        status,
        {"metadata": {"name": "redis", "version": f"1.{number}.0"}, "values": {"level": "info", "port": 6379}},
        values,
        MANIFEST.format(level=level, password=password),
        description=f"step {number} (commit 3f2a91c)",
        first_deployed="2026-01-02T03:04:05Z",
        last_deployed="2026-01-02T03:04:05Z",
    )
    await world.cluster.create(encode(record), manager="helm")


async def two_revisions(world: World) -> ObjectKey:
    """A release whose login is out of a Secret, which had another content before."""
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": world.namespace},
        "stringData": {"values.yaml": f"auth: {{login: {HIDDEN}}}"},
    }
    await world.cluster.apply(secret, manager="test")
    reference = {"kind": "Secret", "name": "login"}
    release = await world.release("redis", spec={"values": {"level": "debug"}, "valuesFrom": [reference]})
    await world.say(release)
    await revision(world, 1, "superseded", "info", HIDDEN_BEFORE)
    await revision(world, 2, "deployed", "debug", HIDDEN)
    return ObjectKey.of(release)
