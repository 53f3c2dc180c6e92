"""The namespace of an attacker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.controlplane.cluster import Cli


@pytest.fixture
def bad(kubectl: Cli, namespace: str) -> Iterator[str]:
    kubectl("create", "namespace", f"{namespace}-bad")
    yield f"{namespace}-bad"
    kubectl("delete", "namespace", f"{namespace}-bad", "--wait=false")
