"""Release records: what is written is what Helm reads, and what cannot be read is said so."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.errors import GitsyncError, RenderError
from gitsync.release.action.inventory import crds_of
from gitsync.release.revision import content_of, objects_of
from gitsync.release.status.history import snapshot_of
from gitsync.release.storage.record import (
    MAX_RECORD,
    Record,
    RecordError,
    decode,
    encode,
    secret_name,
    summarise,
)

RECORD = Record(
    name="redis",
    namespace="default",
    version=2,
    status="deployed",
    chart={"metadata": {"name": "redis", "version": "17.3.14"}},
    config={"auth": {"enabled": False}, "text": "ünïcode"},
    manifest="---\n# Source: redis/templates/a.yaml\nkind: A\n",
    hooks=[{"name": "h", "kind": "Job"}],
    notes="hello",
    description="Upgrade complete (commit 3f2a91c by Ann: redis)",
    first_deployed="2026-11-23T06:00:00Z",
    last_deployed="2026-11-23T06:00:01Z",
    labels={"team": "a"},
    annotations={"gitsync.dev/chart-digest": "sha256:1"},
)


def test_what_is_written_is_read_back() -> None:
    assert decode(encode(RECORD)) == RECORD


def test_the_secret_is_what_helms_driver_looks_for() -> None:
    secret = encode(RECORD, storage_namespace="helm", created="1", modified="2")
    assert secret["metadata"]["name"] == "sh.helm.release.v1.redis.v2" == secret_name("redis", 2)
    assert secret["metadata"]["namespace"] == "helm"
    assert secret["type"] == "helm.sh/release.v1"
    assert secret["metadata"]["labels"] == {
        "name": "redis",
        "owner": "helm",
        "status": "deployed",
        "version": "2",
        "createdAt": "1",
        "modifiedAt": "2",
        "team": "a",
    }


def test_metadata_alone_tells_what_an_unchanged_release_needs() -> None:
    summary = summarise({"metadata": encode(RECORD, modified="7")["metadata"]})
    assert summary is not None
    assert (summary.name, summary.version, summary.status, summary.modified) == ("redis", 2, "deployed", "7")
    assert summary.annotations == RECORD.annotations
    assert not summary.pending


def test_other_secrets_are_no_records() -> None:
    assert summarise({"metadata": {"name": "x", "namespace": "y"}}) is None
    assert summarise({"metadata": {"name": "x", "labels": {"owner": "helm", "version": "one"}}}) is None


def test_records_from_before_helm_compressed_them_are_read() -> None:
    secret = encode(RECORD)
    body = gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"])))
    secret["data"]["release"] = base64.b64encode(base64.b64encode(body)).decode()
    assert decode(secret) == RECORD


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "!!!",
        base64.b64encode(b"!!!").decode(),
        base64.b64encode(base64.b64encode(b"\x1f\x8bnot gzip")).decode(),
        base64.b64encode(base64.b64encode(gzip.compress(b"[1, 2]"))).decode(),
        base64.b64encode(base64.b64encode(gzip.compress(json.dumps({"name": "x"}).encode()))).decode(),
    ],
    ids=["empty", "no base64", "no base64 inside", "no gzip", "a list", "not all fields"],
)
def test_a_damaged_record_is_an_error_that_names_the_secret_and_not_its_content(payload: str) -> None:
    secret = {**encode(RECORD), "data": {"release": payload}}
    with pytest.raises(RecordError) as raised:
        decode(secret)
    assert "sh.helm.release.v1.redis.v2" in raised.value.message
    assert raised.value.hint


def test_a_gzip_bomb_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(b" " * (MAX_RECORD + 1), 9)
    secret = {**encode(RECORD), "data": {"release": base64.b64encode(base64.b64encode(bomb)).decode()}}
    with pytest.raises(RecordError, match="more than"):
        decode(secret)


def test_what_a_record_comes_to_in_memory_is_bounded() -> None:
    """16 MiB as text, half a gigabyte once it is decoded."""
    bomb = b'{"name":"x","config":{"a":[' + b",".join([b'{"a":0}'] * 2_000_000) + b"]}}"
    assert len(bomb) < MAX_RECORD
    with pytest.raises(RecordError, match="more than 16 MiB, or 32 MiB of memory"):
        decode(_secret_of(bomb))


def test_a_manifest_is_no_larger_than_what_is_rendered() -> None:
    with pytest.raises(RecordError, match="has a manifest of more than 8 MiB"):
        decode(encode(replace(RECORD, manifest="#" * ((8 << 20) + 1))))
    many = decode(
        encode(
            replace(
                RECORD, manifest="\n---\n".join(['{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}'] * 10_001)
            )
        )
    )
    with pytest.raises(RenderError, match="more than 10,000 objects"):
        objects_of(many)


@pytest.mark.parametrize("where", ["files", "hooks", "events"])
def test_a_record_of_countless_mistakes_is_refused_for_the_first_one(where: str) -> None:
    """All of them would take seconds and gigabytes, for five megabytes of text."""
    bad: Any = [1] * 400_000
    body = {"name": "x", "version": 1, "chart": {}, "hooks": []}
    body |= {"files": {"chart": {"files": bad}}, "hooks": {"hooks": bad}, "events": {"hooks": [{"events": bad}]}}[where]
    secret = _secret_of(json.dumps(body).encode())
    tracemalloc.start()
    with pytest.raises(RecordError, match=f"not a readable Helm release record .*{where}.*0"):
        decode(secret)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 << 20


@pytest.mark.parametrize("text", [b'{"version": 1e999}', b"[" * 2000, b'"x"', b"{", b"nope", b"\xff"])
def test_json_that_is_out_of_the_ordinary_is_no_record(text: bytes) -> None:
    with pytest.raises(RecordError, match="is not a readable Helm release record"):
        decode(_secret_of(text))


def _secret_of(body: bytes) -> dict[str, Any]:
    data = base64.b64encode(base64.b64encode(gzip.compress(body))).decode()
    return {**encode(RECORD), "data": {"release": data}}


WHOLE = replace(
    RECORD,
    chart={
        "metadata": {"name": "redis", "version": "17.3.14", "appVersion": "7"},
        "values": {"a": 1},
        "files": [{"name": "crds/a.yaml", "data": base64.b64encode(b"kind: CustomResourceDefinition\n").decode()}],
    },
    hooks=[
        {
            **{"name": "h", "kind": "Job", "path": "h.yaml", "manifest": "kind: Job\n", "weight": 1},
            **{"events": ["test"], "delete_policies": ["hook-succeeded"]},
            "last_run": {"started_at": "2026-11-23T06:00:00Z", "completed_at": "", "phase": "Succeeded"},
        }
    ],
)
_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


BODY = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(encode(WHOLE)["data"]["release"]))))


@given(place=st.sampled_from(_places(BODY)[1:]), value=_ANYTHING)
def test_whatever_somebody_writes_into_a_record_it_is_one_or_it_is_refused(place: tuple[Any, ...], value: Any) -> None:
    body = copy.deepcopy(BODY)
    *way, last = place
    reduce(lambda found, key: found[key], way, body)[last] = value
    try:
        record = decode(_secret_of(json.dumps(body).encode()))
    except RecordError:
        return
    snapshot_of(record)
    assert isinstance(f"{record.chart_name} {record.chart_version} {record.description}", str)
    assert all(isinstance(event, str) for hook in record.hooks for event in hook.get("events", ()))
    for read in (objects_of, content_of, crds_of):
        with suppress(GitsyncError):
            read(record)
    assert encode(record)["data"]
