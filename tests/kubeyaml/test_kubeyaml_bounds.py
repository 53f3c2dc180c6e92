"""Hostile documents: refused before anything is built of them."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from gitsync.errors import YamlError
from gitsync.kubeyaml import MAX_DEPTH, load
from tests.kubeyaml.hostiledocuments import HOSTILE


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
from gitsync.kubeyaml import load, split
from tests.kubeyaml.hostiledocuments import HOSTILE
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for text, _ in HOSTILE.values():
    try:
        for document in split(text): load(document.text, unique_keys=True)
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
