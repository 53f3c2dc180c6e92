"""docs/sources.md names every field of the sources that it is about, and says which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.sources import Bucket, GitRepository, HelmChart, OCIRepository
from gitsync.sources.unsupported import refused
from tests.docs.fields import WORDS, leaves
from tests.docs.markdown import ROOT, rows, section, spans

PAGE = ROOT / "docs" / "sources.md"
MODELS: dict[str, type[GitRepository | OCIRepository | Bucket | HelmChart]] = {
    "OCIRepository": OCIRepository,
    "GitRepository": GitRepository,
    "Bucket": Bucket,
    "HelmChart": HelmChart,
}
PLACES: dict[str, dict[str, Any]] = {
    "OCIRepository": {"url": "oci://registry.example/app"},
    "GitRepository": {"url": "https://git.example/app"},
    "Bucket": {"endpoint": "s3.example", "bucketName": "app"},
    "HelmChart": {"chart": "app", "sourceRef": {"kind": "HelmRepository", "name": "app"}},
}
SAMPLES: list[tuple[str, str, Any]] = [
    ("OCIRepository", "verify", {"provider": "notation"}),
    ("OCIRepository", "provider", "azure"),
    ("GitRepository", "provider", "github"),
    ("Bucket", "provider", "aws"),
    ("Bucket", "provider", "gcp"),
    ("Bucket", "provider", "azure"),
    ("Bucket", "sts", {"provider": "ldap", "endpoint": "https://sts.example"}),
    ("Bucket", "serviceAccountName", "reader"),
    ("HelmChart", "verify", {"provider": "notation"}),
]


def documented(kind: str) -> dict[str, str]:
    text = section(PAGE, f"## {kind}")
    listed = [row for row in rows(PAGE) if len(row) == 3 and row[1] in WORDS and " | ".join(row) in text]
    return {field: row[1] for row in listed for field in spans(row[0])}


@pytest.mark.parametrize("kind", [*MODELS, ArtifactGenerator.__name__])
def test_every_field_is_on_the_page_and_every_field_on_the_page_exists(kind: str) -> None:
    named = documented(kind)
    fields = leaves(kind)
    assert [field for field in fields if not any(field == it or field.startswith(f"{it}.") for it in named)] == []
    assert [it for it in named if not any(field == it or field.startswith(f"{it}.") for field in fields)] == []


@pytest.mark.parametrize(("kind", "field", "sample"), SAMPLES)
def test_what_the_page_says_is_refused_is_refused(kind: str, field: str, sample: object) -> None:
    manifest = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": {"name": "app", "namespace": "default"},
        "spec": {"interval": "5m", **PLACES[kind], field: sample},
    }
    (named,) = (name for name, _, _ in refused(MODELS[kind].parse(manifest)))
    assert named in (f"spec.{field}", f"spec.{field}.provider")
    refused_words = [it for it, word in documented(kind).items() if word == "refused"]
    assert field in refused_words or field in ("provider", "verify")  # some values of which are served
