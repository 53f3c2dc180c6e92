"""Hostile documents: refused before anything is built of them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from gitsync.errors import YamlError
from gitsync.kubeyaml import MAX_DEPTH, load

TEN = "[" + ",".join(["*{0}"] * 10) + "]"


def laughs() -> str:
    """Each line stands for ten times the one above."""
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{name}: &{name} {TEN.format(before)}" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    return "\n".join(lines)


def merged_laughs() -> str:
    lines = ["m0: &m0 {k0: 1, l0: 1}"]
    lines += [f"m{n}: &m{n} {{<<: *m{n - 1}, k{n}: *m{n - 1}, l{n}: *m{n - 1}}}" for n in range(1, 30)]
    return "\n".join(lines)


HOSTILE = {
    "billion laughs": (laughs(), "more than 200,000 keys and values"),
    "laughs by merge keys": (merged_laughs(), "more than 200,000 keys and values"),
    "a long text many times": (f"a: &a '{'x' * 1_000_000}'\nb: [{'*a,' * 1000}]", "more than 10 MiB of values"),
    "brackets": ("a: " + "[" * 1000 + "]" * 1000, "nested more than 200 levels"),
    "a million brackets": ("[" * 1_000_000, "nested more than 200 levels"),
    "braces": ("{a: " * 1000 + "}" * 1000, "nested more than 200 levels"),
    "dashes": ("- " * 1000 + "a", "nested more than 200 levels"),
    "indentation": ("".join(" " * n + "a:\n" for n in range(1000)), "nested more than 200 levels"),
    "explicit keys": ("? " * 1000, "a mapping or a list as a key"),
    "aliases inside each other": (
        "a0: &a0 [1]\n" + "\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 1000)),
        "nested more than 200 levels",
    ),
    "itself": ("a: &a {b: *a}", "an alias inside of what it stands for"),
    "many values": ("[" + "1," * 1_000_000 + "]", "more than 200,000 keys and values"),
    "many keys": ("\n".join(f"k{n}: v" for n in range(150_000)), "more than 200,000 keys and values"),
    "nested json": ('{"a":' + "[" * 1000 + "]" * 1000 + "}", "nested more than 200 levels"),
    "a million json brackets": ('{"a":' + "[" * 1_000_000, "more than 500,000 values"),
    "many json values": ('{"a":[' + "{}," * 1_000_000 + "1]}", "more than 500,000 values"),
    "escaped quotes": ('{"' + '\\"' * 1_000_000, "not valid JSON"),
    "a digit more than an integer can have": ('{"a": ' + "1" * 5000 + "}", ""),
}


@pytest.mark.parametrize("name", [name for name, (_, message) in HOSTILE.items() if message])
def test_hostile_documents_are_refused_at_once(name: str) -> None:
    text, message = HOSTILE[name]
    started = time.process_time()
    with pytest.raises(YamlError, match=message):
        load(text, unique_keys=True)
    assert time.process_time() - started < 10


def test_hostile_documents_take_no_memory() -> None:
    code = """
import resource
from gitsync.errors import YamlError
from gitsync.kubeyaml import load
from tests.kubeyaml.test_kubeyaml_bounds import HOSTILE
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for text, _ in HOSTILE.values():
    try: load(text, unique_keys=True)
    except YamlError: pass
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert float(done.stdout) < 100, f"{done.stdout} MiB"


def test_what_is_large_but_honest_is_read() -> None:
    assert len(load("a: " + "x" * 5_000_000)["a"]) == 5_000_000
    assert len(load("\n".join(f"k{n}: v" for n in range(20_000)), unique_keys=True)) == 20_000
    assert len(load("\n".join(f"0x{n:x}: v" for n in range(20_000)), unique_keys=True)) == 20_000
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert load(f"a: {deep}") == load(f'{{"a": {deep}}}')
    shared = "a: &a {x: 1, z: [2, 3]}\n" + "\n".join(f"b{n}: *a" for n in range(5000))
    assert load(shared)["b4999"] == {"x": 1, "z": [2, 3]}


def test_a_number_of_five_thousand_digits_is_too_large_for_kubernetes_too() -> None:
    with pytest.raises(YamlError):
        load(HOSTILE["a digit more than an integer can have"][0])
