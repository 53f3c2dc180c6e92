"""What a CustomResourceDefinition says of its kind, whatever else is written in it."""

from __future__ import annotations

from typing import Any

import pytest

from gitsync.api.kinds import DefinedKind, defined_kind


def definition(spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}


@pytest.mark.parametrize(("scope", "namespaced"), [("Namespaced", True), ("Cluster", False), (None, False)])
def test_a_definition_names_its_kind_and_scope(scope: str | None, namespaced: bool) -> None:
    spec = {"group": "a.example", "names": {"kind": "Widget"}, "scope": scope}
    assert defined_kind(definition(spec)) == DefinedKind("a.example", "Widget", namespaced)


@pytest.mark.parametrize("spec", [None, "text", {}, {"names": None}, {"names": "Widget"}, {"names": {"kind": ""}}])
def test_what_is_no_definition_defines_nothing(spec: Any) -> None:
    assert defined_kind(definition(spec)) is None
    assert defined_kind({"kind": "ConfigMap", "spec": {"names": {"kind": "Widget"}}}) is None
