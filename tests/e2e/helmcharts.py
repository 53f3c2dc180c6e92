"""HelmCharts, and releases that refer to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gitsync.charts.serve import ChartServer
from tests.controlplane.cluster import Cli
from tests.e2e.background import Background
from tests.e2e.manifests import CHARTS
from tests.e2e.watching import Watch, is_ready


@pytest.fixture
def server(background: Background) -> Iterator[ChartServer]:
    server = ChartServer({"apps": [CHARTS / "app"]})
    background.run(server.__aenter__())
    yield server
    background.run(server.__aexit__(None, None, None))


def helm_chart(namespace: str, name: str = "app", **spec: Any) -> str:
    fields = {
        "chart": "app",
        "interval": "1h",
        "sourceRef": {"kind": "HelmRepository", "name": "charts"},
        **spec,
    }
    return json.dumps(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "HelmChart",
            "metadata": {"name": name, "namespace": namespace},
            "spec": fields,
        }
    )


def by_reference(namespace: str, name: str = "app", chart: str = "app") -> str:
    spec = {"interval": "1h", "chartRef": {"kind": "HelmChart", "name": chart}}
    return json.dumps(
        {
            "apiVersion": "helm.toolkit.fluxcd.io/v2",
            "kind": "HelmRelease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
    )


def text(kubectl: Cli, namespace: str) -> str:
    found: str = json.loads(kubectl("get", "configmap", "app-text", "-n", namespace, "-o", "json"))["data"]["text"]
    return found


def until_ready(watch: Watch, *keys: str) -> None:
    watch.until(lambda now: all(is_ready(now.get(key)) for key in keys), f"{', '.join(keys)} ready")
