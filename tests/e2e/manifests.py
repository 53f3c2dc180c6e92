"""Manifests as a team writes them into its repository, and the charts that they name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHARTS = Path(__file__).parent / "charts"
SAMPLE = Path(__file__).parents[2] / "sample-repo"


def story(url: str, namespace: str = "default", *, timeout: str = "1m") -> dict[str, str]:
    """sample-repo/fleet by file name, for a chart server at ``url``, in another namespace, with a timeout."""
    files = {}
    for file in sorted((SAMPLE / "fleet").rglob("*.yaml")):
        text = file.read_text().replace("http://charts.example", url).replace("default", namespace)
        name = file.relative_to(SAMPLE / "fleet").as_posix()
        files[name] = text.replace("  interval: 5m\n", f"  interval: 5m\n  timeout: {timeout}\n")
    return files


def repository(namespace: str, url: str) -> str:
    """A HelmRepository ``charts`` that holds the chart ``app``."""
    return f"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: charts
  namespace: {namespace}
spec:
  interval: 1h
  url: {url}/apps
"""


def release(
    namespace: str,
    name: str,
    *needs: str,
    values: dict[str, Any] | None = None,
    timeout: str = "1m",
    source: str = "charts",
) -> str:
    """A HelmRelease of the chart ``app``. ``needs`` are dependsOn entries, ``{name: a}`` or in short ``a``."""
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: {name}
  namespace: {namespace}
spec:
  interval: 1h
  timeout: {timeout}
  dependsOn:{_entries(needs)}
  chart:
    spec:
      chart: app
      version: 1.0.0
      sourceRef: {{kind: HelmRepository, name: charts, namespace: {source if source != "charts" else namespace}}}
  values: {json.dumps(values or {})}
"""


def _entries(needs: Sequence[str]) -> str:
    entries = [need if need.startswith("{") else f"{{name: {need}}}" for need in needs]
    return "".join(f"\n    - {entry}" for entry in entries) or " []"


def config_map(namespace: str, name: str, text: str = "x", annotations: str = "{}") -> str:
    """A plain object."""
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {annotations}
data:
  text: {text}
"""
