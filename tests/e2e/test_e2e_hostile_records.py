"""Whoever may write Secrets of a namespace may write Helm's records there, with anything in them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from tests.controlplane.cluster import Cli
from tests.e2e.badnamespace import bad
from tests.e2e.gitcharts import chart_files, in_git
from tests.e2e.harness import AgentProcess, Fleet
from tests.e2e.hostility import GRACE
from tests.e2e.limits import limited
from tests.e2e.watching import Watch, is_ready, says

__all__ = ["bad"]

#: Releases with each kind of record, and revisions of those that have many.
RELEASES, REVISIONS = 4, 6

ROUTE = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a%d"}}'


def body_of(kind: str, release: str, revision: int) -> bytes:
    """The JSON of a record: ``bomb`` is of 60 MiB, ``mistakes`` is wrong in as many places as there is room for, all
    others come to just less than is taken."""
    fields: dict[str, Any] = {
        "name": release,
        "version": revision,
        "info": {"status": "deployed" if kind != "many" else "failed"},
        "chart": {"metadata": {"name": "app", "version": "1.0.0"}},
    }
    if kind == "bomb":
        fields["manifest"] = "# " + "x" * (60 << 20)
    if kind == "text":
        fields["notes"] = "x" * (15 << 20)
    if kind == "objects":
        fields["manifest"] = "\n---\n".join(ROUTE % number for number in range(100_000))
    text = json.dumps(fields)
    extra = {
        "heavy": '"config":{"a":[' + ",".join(['{"a":0}'] * 90_000) + "]}",
        "many": '"config":{"a":[' + ",".join(['{"a":0}'] * 90_000) + "]}",
        "mistakes": '"hooks":[' + ",".join(["1"] * 700_000) + "]",
    }.get(kind)
    return (f"{text[:-1]},{extra}}}" if extra else text).encode()


def forged(namespace: str, release: str, kind: str, revision: int) -> dict[str, Any]:
    """A Secret with such a record, by hand."""
    packed = base64.b64encode(gzip.compress(body_of(kind, release, revision), 9))
    status = "failed" if kind == "many" else "deployed"
    labels = {"name": release, "owner": "helm", "status": status, "version": str(revision)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {"name": f"sh.helm.release.v1.{release}.v{revision}", "namespace": namespace, "labels": labels},
        "data": {"release": base64.b64encode(packed).decode()},
    }


@pytest.mark.timeout(600)
def test_records_that_take_all_memory_are_an_error_of_their_own_releases(
    agent: AgentProcess, fleet: Fleet, releases: Watch, kubectl: Cli, namespace: str, bad: str
) -> None:
    fleet.commit({**chart_files(), f"fleet/{namespace}.yaml": in_git(namespace, "first")}, "an honest one")
    agent.arguments.append("--path=fleet")
    agent.start().wait_for("release installed", release=f"{namespace}/first")
    files: dict[str, str | None] = {}
    for kind in ("bomb", "text", "objects", "heavy", "mistakes", "many"):
        for number in range(RELEASES):
            name = f"{kind}-{number}"
            for revision in range(1, 1 + (REVISIONS if kind == "many" else 1)):
                secret = json.dumps(forged(bad, name, kind, revision))
                kubectl("create", "-f", "-", stdin=secret)
            files[f"fleet/{name}.yaml"] = in_git(bad, name)

    with limited(agent.pid) as memory:
        fleet.commit(files, "releases with records that were there before them")
        releases.first(f"{bad}/bomb-0", says("unpacks to more than 16 MiB"), timeout=100)
        honest = {f"fleet/{namespace}-2.yaml": in_git(namespace, "second")}
        fleet.commit({**honest, f"fleet/{namespace}.yaml": in_git(namespace, "first", values={"a": 1})}, "honest ones")
        releases.first(f"{namespace}/second", lambda seen: is_ready(seen.manifest), timeout=100)
        agent.wait_for("release upgraded", release=f"{namespace}/first")

    memory.check()
    assert agent.stop(GRACE) == 0
