"""Release records: what is written is what Helm reads, and what cannot be read is said so."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

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
