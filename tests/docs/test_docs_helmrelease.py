"""docs/helmrelease.md names every field of a HelmRelease and HelmRepository, and says of each what is true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gitsync.api import HelmRelease
from gitsync.release.unsupported import refused, without_effect
from tests.docs.fields import WORDS, leaves
from tests.docs.markdown import ROOT, rows, spans

PAGE = ROOT / "docs" / "helmrelease.md"
SOURCE = {"kind": "HelmRepository", "name": "bitnami"}

#: By field, a value that asks for what the field does.
SAMPLES: Mapping[str, Any] = {
    "chart.spec.valuesFiles": ["production.yaml"],
    "chart.spec.valuesFile": "production.yaml",
    "serviceAccountName": "deployer",
    "dependsOn[].readyExpr": [{"name": "redis", "readyExpr": "true"}],
    "install.disableTakeOwnership": True,
    "upgrade.disableTakeOwnership": True,
    "upgrade.preserveValues": True,
    "postRenderers": [{"kustomize": {"images": [{"name": "redis", "newTag": "7"}]}}],
    "commonMetadata": {"labels": {"team": "blue"}},
    "healthCheckExprs": [{"apiVersion": "v1", "kind": "Cat", "current": "true"}],
    "upgrade.cleanupOnFail": True,
    "upgrade.force": True,
    "test.enable": True,
    "driftDetection.mode": "enabled",
}


def documented(kind: str) -> dict[str, str]:
    """What the page says, by field."""
    text = PAGE.read_text(encoding="utf-8")
    after = {"HelmRelease": "## HelmRelease\n", "HelmRepository": "## HelmRepository\n"}[kind]
    part = text.partition(after)[2].partition("\n## ")[0].partition("### Annotations")[0]
    found: dict[str, str] = {}
    for row in rows(PAGE):
        line = " | ".join(row)
        if len(row) >= 2 and row[1] in WORDS and line in part:
            for field in spans(row[0]):
                assert field not in found, f"{field} is there twice"
                found[field] = row[1]
    return found


def release(field: str) -> HelmRelease:
    """A HelmRelease in which ``field`` says something."""
    spec: dict[str, Any] = {"interval": "5m", "chart": {"spec": {"chart": "redis", "sourceRef": SOURCE}}}
    *parents, name = field.partition("[]")[0].split(".")
    inside = spec
    for parent in parents:
        inside = inside.setdefault(parent, {})
    inside[name] = SAMPLES[field]
    manifest = {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "redis", "namespace": "default"},
        "spec": spec,
    }
    return HelmRelease.parse(manifest)


@pytest.mark.parametrize("kind", ["HelmRelease", "HelmRepository"])
def test_every_field_is_on_the_page_and_every_field_on_the_page_exists(kind: str) -> None:
    fields, said = leaves(kind), documented(kind)

    def covers(name: str, field: str) -> bool:
        return field == name or field.startswith((f"{name}.", f"{name}[]"))

    assert not [field for field in fields if not any(covers(name, field) for name in said)]
    assert not [name for name in said if not any(covers(name, field) for field in fields)]


def test_what_is_said_to_be_refused_is_refused() -> None:
    said = {field for field, word in documented("HelmRelease").items() if word == "refused"} - {"chartRef"}
    assert said == {field for field in SAMPLES if refused(release(field))}


def test_what_is_said_to_be_warned_of_is_warned_of() -> None:
    said = {field for field, word in documented("HelmRelease").items() if word == "warned"}
    assert said == {field for field in SAMPLES if without_effect(release(field))}
