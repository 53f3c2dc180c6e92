"""Generated documents, read by gitsync and by kubectl; many to a kubectl call, which takes a tenth of a second."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gitsync.manifests import parse_file
from tests.controlplane.cluster import Cli
from tests.manifests.kubectl_reading import as_kubectl_prints, objects_of_kubectl
from tests.yamltexts import FLOW, LITERAL, PLAIN, VALUE, indent


def config_map(number: int, value: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: g{number}}}\ndata:\n  value: {indent(indent(value))}\n"


@pytest.mark.parametrize(
    ("value", "at_once", "times"),
    [(PLAIN, 60, 6), (LITERAL, 40, 6), (FLOW, 12, 8), (VALUE, 8, 10)],
    ids=["plain scalars", "block scalars", "flow style", "block style"],
)
def test_generated_documents_are_read_as_kubectl_reads_them(
    kubectl: Cli, tmp_path: Path, value: st.SearchStrategy[str], at_once: int, times: int
) -> None:
    numbers = itertools.count()
    generated, compared = [], []

    # Not shrunk: each try is a kubectl call, and the comparison names the document that differs.
    @settings(max_examples=times, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(st.lists(value, min_size=at_once, max_size=at_once))
    def check(values: list[str]) -> None:
        documents = [config_map(number, text) for number, text in enumerate(values)]
        readable = [text for text in documents if not parse_file("a.yaml", text.encode()).errors]
        generated.extend(documents)
        compared.extend(readable)
        file = tmp_path / f"{next(numbers)}.yaml"
        file.write_bytes("---\n".join(readable).encode())
        ours = [as_kubectl_prints(item) for item in parse_file(file.name, file.read_bytes()).objects]
        theirs = objects_of_kubectl(kubectl, file)
        assert len(ours) == len(theirs) == len(readable)
        for text, our, their in zip(readable, ours, theirs, strict=True):
            assert our == their, text

    check()
    assert len(compared) > len(generated) / 2
