"""The corpus of fixtures/desired.yaml on the control plane itself, so that live.json does not grow old unnoticed."""

from __future__ import annotations

import json
from pathlib import Path

from gitsync.diff import subset_differs
from gitsync.kubeyaml import load, split
from tests.controlplane.cluster import Cli

CORPUS = (Path(__file__).parent / "fixtures" / "desired.yaml").read_text()


def test_what_this_api_server_makes_of_a_manifest_is_no_difference(kubectl: Cli, namespace: str) -> None:
    text = CORPUS.replace("namespace: diff-corpus", f"namespace: {namespace}")
    # The Widget's definition is not really created, so the server would not know it.
    documents = [document.text for document in split(text) if "kind: Widget\n" not in document.text]
    manifests = "\n---\n".join(documents)
    stored = json.loads(kubectl("apply", "--server-side", "--dry-run=server", "-o", "json", "-f", "-", stdin=manifests))
    assert len(stored["items"]) == len(documents) > 15
    for document, live in zip(documents, stored["items"], strict=True):
        desired = load(document)
        assert desired["metadata"]["name"] == live["metadata"]["name"]
        assert subset_differs(desired, live) == []
