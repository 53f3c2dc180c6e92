"""What a page shows of differences: bounded, and nothing that is called a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.diff import DiffLine, render_diff
from gitsync.web.ui.changes import MOST_LINES, MOST_OBJECTS, Changes, masked, shown

HIDDEN = "hunter2"
COMMIT = CommitInfo("a" * 40, "Ann", "one")


def lines_of(manifest: dict[str, Any], **options: bool) -> list[str]:
    key = ObjectKey.of(manifest)
    return [line.text for line in masked(render_diff(None, manifest, key)[2:], **options)]


def test_variables_and_arguments_of_containers_are_masked_by_their_names_and_references_are_not() -> None:
    container = {
        "name": "app",
        "args": ["--db-password=hunter2", "--verbose=true"],
        "env": [
            {"name": "DB_PASSWORD", "value": HIDDEN},
            {"name": "LEVEL", "value": "debug-shown"},
            {"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "auth-shown", "key": "token-shown"}}},
            {"name": "URL", "value": "https://x/?password=hunter2"},
        ],
    }
    spec = {"imagePullSecrets": [{"name": "registry-shown"}], "containers": [container]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "app", "namespace": "default"}, "spec": spec}
    text = "\n".join(lines_of(manifest))
    assert HIDDEN not in text
    for kept in ("debug-shown", "auth-shown", "token-shown", "registry-shown", "--verbose=true", "DB_PASSWORD"):
        assert kept in text


def test_texts_in_config_maps_are_masked_where_they_name_a_secret() -> None:
    data = {
        "app.properties": f"db.user=ann\ndb.password={HIDDEN}\n",
        "password": HIDDEN,
        "api-token": f"{HIDDEN}\n{HIDDEN}",
    }
    metadata = {"name": "app", "namespace": "default"}
    text = "\n".join(lines_of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}))
    assert HIDDEN not in text
    assert "db.user=ann" in text


def test_values_of_a_release_are_masked_down_to_their_leaves() -> None:
    values = {
        "auth": {"password": HIDDEN, "enabled": True, "username": "ann"},
        "secrets": {"one": HIDDEN, "many": [HIDDEN, {"deep": HIDDEN}]},
        "tokens": [HIDDEN],
        "extraEnv": [{"name": "API_TOKEN", "value": HIDDEN}],
        "existingSecret": "auth-shown",
        "tls": {"privateKey": f"-----BEGIN\n{HIDDEN}\n"},
        "after": "shown",
    }
    manifest = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "redis", "namespace": "default"},
        "spec": {"values": values},
    }
    text = "\n".join(lines_of(manifest, in_values=True))
    assert HIDDEN not in text
    for kept in ("username: ann", "enabled: true", "existingSecret: auth-shown", "after: shown"):
        assert kept in text


@pytest.mark.parametrize("kind", ["-", "+"])
def test_what_is_around_a_change_tells_both_sides_what_it_is_in(kind: Any) -> None:
    lines = [DiffLine(" ", "password: |"), DiffLine(kind, f"  {HIDDEN}"), DiffLine(" ", "other: shown")]
    assert [line.text for line in masked(lines)] == ["password: |", "  masked", "other: shown"]


def test_markers_of_secrets_stay_so_that_a_change_is_seen() -> None:
    lines = [DiffLine("-", "  password: masked:3f2a91c0d1"), DiffLine("+", "  password: masked:0123456789")]
    assert [line.text for line in masked(lines)] == [line.text for line in lines]


@dataclass
class Item:
    key: ObjectKey
    verb: str = "change"
    diff: tuple[DiffLine, ...] = ()
    origin: str = "a.yaml:1"
    release: str = ""
    kustomization: str = ""
    why: str = ""
    to: str = ""


@dataclass
class Compared:
    objects: list[Item]
    commit: CommitInfo = COMMIT
    problems: tuple[()] = ()
    unchanged: int = 3
    held: str = ""
    prune_skipped: str = ""


def test_there_is_an_end_to_objects_and_to_lines() -> None:
    lines = tuple(DiffLine("+", f"a{number}: 1") for number in range(MOST_LINES + 50))
    items = [Item(ObjectKey("", "ConfigMap", "default", f"x{n}"), diff=lines) for n in range(MOST_OBJECTS + 7)]
    found: Changes = shown(Compared(items))
    assert (len(found.objects), found.more, found.unchanged) == (MOST_OBJECTS, 7, 3)
    assert (len(found.objects[0].lines), found.objects[0].more) == (MOST_LINES, 50)
    assert sum(len(item.lines) for item in found.objects) <= 5000
    assert found.counts == [("change", MOST_OBJECTS)]
