"""Metrics as a scraper reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from gitsync.api.identity import Manifest, ObjectKey

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


DOCS = Path(__file__).parents[2] / "docs"


KEY = ObjectKey("helm.toolkit.fluxcd.io", "HelmRelease", "apps", "demo")


RELEASE: Manifest = {
    "apiVersion": "helm.toolkit.fluxcd.io/v2",
    "kind": "HelmRelease",
    "metadata": {"name": "demo", "namespace": "apps"},
    "spec": {"chart": {"spec": {"chart": "demo", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}}},
    "status": {
        "conditions": [{"type": "Ready", "status": "False", "reason": "DependencyNotReady", "message": "x"}],
        "history": [{"chartName": "demo", "chartVersion": "1.2.3"}],
        "lastAttemptedRevision": "1.2.3",
    },
}


def samples_of(text: str) -> Samples:
    """Each sample by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def release(key: ObjectKey = KEY) -> Iterator[tuple[ObjectKey, Manifest]]:
    yield key, RELEASE
