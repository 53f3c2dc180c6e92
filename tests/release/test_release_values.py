"""Values by reference: composed as helm composes ``-f``, ``--set``, ``--set-string`` and ``--set-literal``."""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import helm_python
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.charts import merge_values
from gitsync.errors import ValuesError, ValuesMissing
from gitsync.release.values.compose import compose, secrets_in, texts_of
from tests.charts.build import chart_files, packed
from tests.controlplane import binaries

BASE = """
list: [1, two, {three: 3}]
nested: {kept: here, deep: {deeper: {deepest: 1}}, list: [[1, 2], [3]]}
octal: 0644
word: yes
large: 12345678901234567890
ratio: 1.0
unset: null
"""
#: (target path, text, kind of flag): what ``--set`` and its siblings are given in one case, in order.
Sets = list[tuple[str, str, str]]
CASES: dict[str, tuple[list[str], Sets]] = {
    "one file": ([BASE], []),
    "later files win, maps merge, lists replace": ([BASE, "list: [9]\nnested: {deep: {other: 2}, kept: null}"], []),
    "an empty file": ([BASE, "# nothing but a comment"], []),
    "a null in a later file stays": ([BASE, "nested: null"], []),
    "a map in the place of a scalar": ([BASE, "octal: {a: 1}"], []),
    "types of --set": (
        [],
        [(f"a{number}", text, "--set") for number, text in enumerate(["1", "01", "1.5", "true", "null", "", "x y"])],
    ),
    "a list": ([BASE], [("list", "{7,eight}", "--set")]),
    "an empty list": ([BASE], [("list", "{}", "--set")]),
    "an element": ([BASE], [("list[1]", "9", "--set")]),
    "an element beyond the end": ([BASE], [("list[5]", "9", "--set")]),
    "a field of an element": ([BASE], [("list[2].four", "4", "--set")]),
    "a field of an element that is no map": ([BASE], [("list[0].four", "4", "--set")]),
    "a list in a list": ([BASE], [("nested.list[0][1]", "9", "--set"), ("nested.list[2][1]", "9", "--set")]),
    "a list of a list": ([BASE], [("nested.list[0]", "{a,b}", "--set")]),
    "deep below": ([BASE], [("nested.deep.deeper.also", "1", "--set"), ("new.deep.path", "1", "--set")]),
    "a dot in a key": ([BASE], [(r"nested.a\.b", "1", "--set"), ("nested/c", "1", "--set")]),
    "a comma begins another": ([BASE], [("first", "1,second=2,nested.third=3", "--set")]),
    "an escaped comma": ([BASE], [("first", r"1\,second=2", "--set")]),
    "an equals sign, line feeds": ([], [("a", "b=c", "--set"), ("d", "e\nf\n", "--set")]),
    "--set-string": ([BASE], [("a", "1", "--set-string"), ("list[0]", "true", "--set-string")]),
    "--set-literal": ([BASE], [("a", "{1,b=2}", "--set-literal"), ("nested.b", "true", "--set-literal")]),
    "--set-literal into a list": ([BASE], [("list[0]", "1,2", "--set-literal"), ("list[2].x", "\\,", "--set-literal")]),
}  # fmt: skip


def generated(seed: int) -> tuple[list[str], Sets]:
    """Some files of maps, lists and scalars with few names, so that they meet, and some settings over them."""
    chance = random.Random(seed)

    def value(depth: int) -> Any:
        kind = chance.choice(["map", "list", "scalar"]) if depth else "scalar"
        if kind == "map":
            return {name: value(depth - 1) for name in chance.sample("abc", chance.randint(0, 3))}
        if kind == "list":
            return [value(depth - 1) for _ in range(chance.randint(0, 3))]
        return chance.choice([None, True, 0, 12, 0.5, 1e9, "", "text", "0644", "null"])

    # Settings use names of their own, or paths through what is no map would end most cases in an error.
    paths = ["s", "t.a", "t.b.c", "u[0]", "u[2].d", "u[1][1]", "v.list[0].x"]
    texts = ["1", "x", "{1,b}", "", "null", "1,w=2", "-3", "1e3", "a b", "{", "007"]
    sets = [(chance.choice(paths), chance.choice(texts), "--set") for _ in range(chance.randint(0, 4))]
    sets += [(chance.choice(paths), chance.choice(texts[:6]), "--set-literal") for _ in range(chance.randint(0, 1))]
    return [json.dumps({name: value(3) for name in "abc"}) for _ in range(chance.randint(1, 3))], sets


def release(*references: dict[str, Any], values: dict[str, Any] | None = None) -> HelmRelease:
    return HelmRelease.parse(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": "redis", "namespace": "default"},
            "spec": {
                "interval": "5m",
                "chart": {"spec": {"chart": "redis", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}},
                "valuesFrom": list(references),
                **({} if values is None else {"values": values}),
            },
        }
    )


def config_map(name: str, **data: str) -> Manifest:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def secret(name: str, **data: str) -> Manifest:
    packed_data = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": packed_data}


def composed(wanted: HelmRelease, *objects: Manifest) -> dict[str, Any]:
    known = {ObjectKey("", item["kind"], "default", item["metadata"]["name"]): item for item in objects}
    return compose(wanted, texts_of(wanted, known.get))


def by_reference(files: list[str], sets: Sets) -> dict[str, Any]:
    """The same composition through ConfigMaps and Secrets."""
    objects: list[Manifest] = []
    references: list[dict[str, Any]] = []
    for number, text in enumerate(files):
        objects.append(config_map(f"file-{number}", **{"values.yaml": text}))
        references.append({"kind": "ConfigMap", "name": f"file-{number}"})
    for number, (path, text, flag) in enumerate(sets):
        objects.append(secret(f"set-{number}", value=f"'{text}'" if flag == "--set-string" else text))
        where: dict[str, Any] = {"kind": "Secret", "name": f"set-{number}", "valuesKey": "value", "targetPath": path}
        references.append({**where, "literal": flag == "--set-literal"})
    return composed(release(*references), *objects)


class Helm:
    """What ``helm get values`` would say after an install with these flags; None when helm refuses them."""

    def __init__(self, directory: Path) -> None:
        self._helm = binaries.ensure(binaries.HELM)
        self._directory = directory
        self._chart = directory / "app.tgz"
        self._chart.write_bytes(packed(chart_files()))

    def values(self, name: str, files: list[str], sets: Sets) -> dict[str, Any] | None:
        flags = []
        for number, text in enumerate(files):
            file = self._directory / f"{name.replace(',', '')}-{number}.yaml"  # helm splits names at commas
            file.write_text(text)
            flags += ["--values", str(file)]
        for path, text, flag in sets:
            flags += [flag, f"{path}={text}"]
        command = [str(self._helm), "install", "app", str(self._chart), "--dry-run=client", "--output", "json", *flags]
        home = {f"HELM_{kind}_HOME": str(self._directory / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            command, env=os.environ | home | {"KUBECONFIG": "/dev/null"}, capture_output=True, text=True
        )
        if done.returncode:
            assert "failed parsing --set" in done.stderr, done.stderr
            return None
        return json.loads(done.stdout).get("config") or {}


def test_references_are_composed_as_helm_composes_its_flags(tmp_path: Path) -> None:
    helm = Helm(tmp_path)
    cases = CASES | {f"generated-{seed}": generated(seed) for seed in range(40)}
    with ThreadPoolExecutor(2) as threads:
        wanted = dict(zip(cases, threads.map(lambda name: helm.values(name, *cases[name]), cases), strict=True))
    refused = 0
    for name, (files, sets) in cases.items():
        if wanted[name] is None:
            refused += 1
            with pytest.raises(ValuesError):
                by_reference(files, sets)
        else:
            found = by_reference(files, sets)
            assert json.dumps(found, sort_keys=True) == json.dumps(wanted[name], sort_keys=True), name
    assert 0 < refused < len(cases) / 2


NAMES = st.sampled_from("abc")
SCALARS = st.one_of(st.booleans(), st.integers(-(2**31), 2**31), st.text("xyz", max_size=3))
TREES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=2), st.dictionaries(NAMES, below, max_size=3)),
    max_leaves=8,
)
MAPS = st.dictionaries(NAMES, TREES, max_size=3)


@given(MAPS, MAPS)
@settings(max_examples=150)
def test_maps_merge_as_helm_merges_values_over_a_charts_defaults(base: dict[str, Any], over: dict[str, Any]) -> None:
    chart = helm_python.Chart.load_archive(packed(chart_files() | {"values.yaml": json.dumps(base).encode()}))
    with chart:
        theirs = chart.merge_values(over)
    # Where a default is a map and the value is none, Helm keeps the map and warns; only then do the two differ.
    if not _flattens(base, over):
        assert merge_values(base, over) == theirs


def _flattens(base: dict[str, Any], over: dict[str, Any]) -> bool:
    return any(
        isinstance(base[name], dict) and (not isinstance(over[name], dict) or _flattens(base[name], over[name]))
        for name in base.keys() & over.keys()
    )


def test_values_in_the_release_win_over_references_and_target_paths() -> None:
    wanted = release(
        {"kind": "ConfigMap", "name": "base"},
        {"kind": "Secret", "name": "one", "valuesKey": "value", "targetPath": "a.b"},
        values={"a": {"b": "inline", "c": [1]}},
    )
    found = composed(wanted, config_map("base", **{"values.yaml": "a: {c: [2, 3], d: 4}"}), secret("one", value="set"))
    assert found == {"a": {"b": "inline", "c": [1], "d": 4}}


def test_an_optional_reference_forgives_a_missing_object_and_a_missing_key() -> None:
    wanted = release(
        {"kind": "ConfigMap", "name": "missing", "optional": True},
        {"kind": "Secret", "name": "there", "valuesKey": "other", "optional": True},
        values={"a": 1},
    )
    assert composed(wanted, secret("there", key="b: 2")) == {"a": 1}


@pytest.mark.parametrize("there", [[], [secret("login", password="hunter2")]])
def test_a_missing_object_or_key_is_named(there: list[Manifest]) -> None:
    wanted = release({"kind": "Secret", "name": "login", "valuesKey": "token", "targetPath": "auth.token"})
    with pytest.raises(ValuesMissing, match=r"valuesFrom: Secret 'default/login' key 'token' does not exist"):
        composed(wanted, *there)


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ({}, "hunter2: [unclosed"),
        ({}, "hunter2"),
        ({}, "- hunter2"),
        ({}, "a: *hunter2"),
        ({}, "a: `hunter2`"),
        ({}, "key: hunter2: hunter2"),
        ({"targetPath": "a.b"}, "{hunter2"),
        ({"targetPath": "a.b."}, "hunter2"),
        ({"targetPath": "inline.b"}, "hunter2"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_content(reference: dict[str, str], text: str) -> None:
    wanted = release({"kind": "Secret", "name": "login", **reference}, values={"inline": "scalar"})
    with pytest.raises(ValuesError, match=r"valuesFrom: Secret 'default/login' key 'values.yaml'") as raised:
        composed(wanted, secret("login", **{"values.yaml": text}))
    assert "hunter2" not in f"{raised.value!r} {raised.value.hint}"


def test_a_secret_that_stands_in_git_as_plain_text_is_read_too() -> None:
    wanted = release({"kind": "Secret", "name": "plain", "valuesKey": "value", "targetPath": "a"})
    plain = {
        "kind": "Secret",
        "metadata": {"name": "plain"},
        "data": {"value": "b3RoZXI="},
        "stringData": {"value": "x"},
    }
    assert composed(wanted, plain) == {"a": "x"}


def test_only_what_comes_out_of_secrets_counts_as_secret() -> None:
    wanted = release(
        {"kind": "ConfigMap", "name": "plain"},
        {"kind": "Secret", "name": "login"},
        {"kind": "Secret", "name": "token", "valuesKey": "token", "targetPath": "auth.token"},
        values={"inline": "shown"},
    )
    texts = ("host: known", "user: alice\npassword: hunter2\nkey-7f3a9c: 1\n", "abc,def")
    assert secrets_in(wanted, texts) == {"alice", "hunter2", "key-7f3a9c", "abc,def"}
