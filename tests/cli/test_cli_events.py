"""``gitsync events`` on a real API server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gitsync.live.events import last_seen
from tests.cli.conftest import Gitsync
from tests.controlplane.cluster import Cluster


def event(namespace: str, kind: str, name: str, message: str, minutes: int, **more: Any) -> dict[str, Any]:
    """An event about an object, so many minutes old."""
    group = {"HelmRelease": "helm.toolkit.fluxcd.io/v2", "HelmRepository": "source.toolkit.fluxcd.io/v1"}.get(
        kind, "v1"
    )
    when = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{name}.", "namespace": namespace},
        "involvedObject": {"apiVersion": group, "kind": kind, "namespace": namespace, "name": name},
        "type": "Normal",
        "reason": "Because",
        "message": message,
        "firstTimestamp": when,
        "lastTimestamp": when,
        **more,
    }


@pytest.fixture
def story(control_plane: Cluster, namespace: str) -> str:
    for item in (
        event(namespace, "HelmRelease", "redis", "installed", 5),
        event(namespace, "HelmRelease", "backend", "waits\nfor redis", 17, type="Warning", count=3),
        event(namespace, "HelmRepository", "bitnami", "read", 19),
        event(namespace, "Pod", "redis-0", "pulled", 6),
    ):
        control_plane.request("POST", f"/api/v1/namespaces/{namespace}/events", item)
    return namespace


def test_events_of_our_kinds_are_a_table_the_last_one_last(gitsync: Gitsync, story: str) -> None:
    said = gitsync("events", "-n", story)
    assert (said.code, said.err) == (0, "")
    header, *rows = said.out.splitlines()
    assert header.split("   ")[0] == "LAST SEEN"
    assert [row.split()[-1] for row in rows] == ["read", "redis", "installed"]
    assert rows[1].split() == ["17m", "(x3)", "Warning", "Because", "HelmRelease/backend", "waits", "for", "redis"]
    assert gitsync("events", "-A").out.splitlines()[0].split()[0] == "NAMESPACE"


@pytest.mark.parametrize(
    ("about", "message"),
    [("HelmRelease/redis", "installed"), ("helmrelease/redis", "installed"), ("Pod/redis-0", "pulled")],
)
def test_events_of_one_object_of_any_kind(about: str, message: str, gitsync: Gitsync, story: str) -> None:
    (found,) = json.loads(gitsync("events", "--for", about, "-n", story, "-o", "json").out)
    assert (found["message"], found["count"], found["type"]) == (message, 1, "Normal")


def test_no_events_are_said_to_be_none_and_a_kind_alone_is_wrong_usage(gitsync: Gitsync) -> None:
    said = gitsync("events", "-n", "nobody-is-here")
    assert (said.code, said.out, said.err) == (0, "", "no events in namespace nobody-is-here\n")
    assert gitsync("events", "--for", "redis").code == 2


@pytest.mark.parametrize(
    ("times", "hour"),
    [
        ({"lastTimestamp": "2026-11-23T07:00:00Z", "eventTime": None}, 7),
        ({"lastTimestamp": None, "eventTime": "2026-11-23T08:00:00.123456Z"}, 8),
        ({"eventTime": "2026-11-23T08:00:00.123456Z", "series": {"lastObservedTime": "2026-11-23T09:00:00.5Z"}}, 9),
        ({}, 6),
    ],
)
def test_when_an_event_was_last_seen_whichever_api_wrote_it(times: dict[str, Any], hour: int) -> None:
    assert last_seen({"metadata": {"creationTimestamp": "2026-11-23T06:00:00Z"}, **times}).hour == hour
