"""Secrets: a change is visible, a value never."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.diff import DiffLine, changes, mask, render_diff

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KEY = ObjectKey("", "Secret", "default", "login")


def diff_text(lines: Iterable[DiffLine]) -> str:
    """As ``diff -u`` would print them."""
    return "".join(f"{line}\n" for line in lines)


def secret(**fields: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login", "namespace": "default"}} | fields


def test_values_become_markers_and_names_stay() -> None:
    shown = mask(secret(type="Opaque", data={"password": "aHVudGVyMg=="}, stringData={"user": "root"}))
    assert re.fullmatch("masked:[0-9a-f]{10}", shown["data"]["password"])
    assert re.fullmatch("masked:[0-9a-f]{10}", shown["stringData"]["user"])
    assert shown["type"] == "Opaque"
    assert shown["metadata"] == {"name": "login", "namespace": "default"}


def test_equal_values_have_equal_markers_whichever_way_they_are_written() -> None:
    shown = mask(secret(data={"a": "aHVudGVyMg==", "b": "aHVudGVyMg==\n"}, stringData={"c": "hunter2", "d": "hunter3"}))
    assert shown["data"]["a"] == shown["data"]["b"] == shown["stringData"]["c"] != shown["stringData"]["d"]


def test_a_marker_is_no_plain_hash_and_differs_from_process_to_process() -> None:
    marker = mask(secret(stringData={"a": "hunter2"}))["stringData"]["a"].removeprefix("masked:")
    for name in ("sha256", "sha1", "md5", "blake2b", "sha512"):
        assert not hashlib.new(name, b"hunter2").hexdigest().startswith(marker)
    program = "from gitsync.diff import mask; print(mask({'kind': 'Secret', 'stringData': {'a': 'hunter2'}}))"
    elsewhere = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert "masked:" in elsewhere
    assert marker not in elsewhere


def test_a_marker_does_not_tell_the_length() -> None:
    shown = mask(secret(stringData={"a": "x", "b": "y" * 1000}))
    assert len(shown["stringData"]["a"]) == len(shown["stringData"]["b"])


def test_kubectls_copy_of_the_secret_is_masked_within() -> None:
    copy = json.dumps(secret(stringData={"password": "hunter2"}))
    original = secret(stringData={"password": "hunter2"})
    original["metadata"]["annotations"] = {LAST_APPLIED: copy, "note": "kept"}
    shown = mask(original)
    inner = json.loads(shown["metadata"]["annotations"][LAST_APPLIED])
    assert inner["stringData"]["password"] == shown["stringData"]["password"]
    assert inner["metadata"]["name"] == "login"
    assert shown["metadata"]["annotations"]["note"] == "kept"
    assert original["metadata"]["annotations"][LAST_APPLIED] == copy, "the argument is left as it is"


@pytest.mark.parametrize("name", [LAST_APPLIED, "kapp.k14s.io/original", "objectset.rio.cattle.io/applied"])
@pytest.mark.parametrize("text", ["hunter2", "H4sIhunter2", '"hunter2"', "[" * 5000, '{"data": "hunter2"}'])
def test_a_copy_that_cannot_be_read_is_masked_whole(name: str, text: str) -> None:
    original = secret(metadata={"name": "login", "annotations": {name: text}})
    assert "hunter2" not in repr(mask(original))


def test_secrets_in_lists_are_masked() -> None:
    listed = {"kind": "List", "items": [secret(stringData={"a": "hunter2"}), {"kind": "ConfigMap", "data": {"a": "b"}}]}
    shown = mask(listed)
    assert "hunter2" not in repr(shown)
    assert shown["items"][1]["data"] == {"a": "b"}
    assert "hunter2" not in repr(mask({"kind": "SecretList", "items": [{"data": {"a": "hunter2"}}]}))


def test_what_is_no_secret_is_left_alone() -> None:
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"password": "hunter2"}}
    assert mask(settings) is settings


@pytest.mark.parametrize("data", ["hunter2", ["hunter2"], {"a": {"b": "hunter2"}}, {"a": "not base64: hunter2"}, 7])
def test_a_malformed_secret_shows_nothing_either(data: Any) -> None:
    for field in ("data", "stringData"):
        broken = secret(**{field: data})
        shown = repr(mask(broken)) + diff_text(render_diff(None, broken, KEY)) + repr(changes(secret(), broken))
        assert "hunter2" not in shown


@given(st.text(min_size=6, alphabet="!$&"), st.text(min_size=6, alphabet="?%~"))
def test_no_text_or_data_about_a_secret_holds_its_values(old: str, new: str) -> None:
    before = secret(data={"key": base64.b64encode(old.encode()).decode()})
    after = secret(stringData={"key": new})
    shown = diff_text(render_diff(before, after, KEY)) + repr(changes(before, after)) + repr(mask(after))
    for value in (old, new):
        assert value not in shown
        assert base64.b64encode(value.encode()).decode() not in shown


def test_a_changed_value_is_one_changed_line() -> None:
    before = secret(data={"a": "aHVudGVyMg==", "b": "Yg=="})
    after = secret(stringData={"a": "hunter3", "b": "b"})
    changed = [line for line in render_diff(before, after, KEY) if line.kind in "+-"]
    assert [re.sub("[0-9a-f]{10}", "...", str(line)) for line in changed] == ["-  a: masked:...", "+  a: masked:..."]
    assert changed[0].text != changed[1].text


def test_of_an_object_that_was_encrypted_no_value_is_shown_whatever_its_kind() -> None:
    def config(port: int, note: str) -> Manifest:
        metadata = {"name": "a", "namespace": "default", "annotations": {"note": note}}
        data = {"url": "redis://:hunter2@db", "ports": [port]}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}

    key = ObjectKey("", "ConfigMap", "default", "a")
    text = diff_text(render_diff(config(6379, "hunter3"), config(6380, "hunter3"), key, secret=True))
    assert "ConfigMap/default/a changed" in text
    assert len([line for line in text.splitlines() if line.startswith(("-", "+"))]) == 2
    for value in ("hunter", "6379", "6380", "redis"):
        assert value not in text
    assert not render_diff(config(1, ""), config(1, ""), key, secret=True)
    assert diff_text(render_diff(None, secret(stringData={"a": "hunter2"}), KEY, secret=True)).count("masked:") == 1
