"""The workloads: which releases there are, what each waits for, and their manifests as a repository holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NAMESPACE = "bench"
#: Folder of the repository that the agent syncs.
FOLDER = "fleet"
CHART = Path(__file__).parent / "chart"
CHART_VERSION = "1.4.2"


@dataclass(frozen=True, slots=True)
class Case:
    """Releases in layers: each waits for all of the layer above."""

    name: str
    title: str
    layers: tuple[tuple[str, ...], ...]

    @property
    def releases(self) -> list[str]:
        return [release for layer in self.layers for release in layer]


def layered(name: str, title: str, depth: int, width: int) -> Case:
    """``depth`` layers of ``width`` releases."""
    layers = [[f"app-{layer:02}-{number:03}" for number in range(width)] for layer in range(depth)]
    return Case(name, title, tuple(map(tuple, layers)))


CHAIN = layered("chain-10", "chain of 10", 10, 1)
ISSUE = (
    CHAIN,
    layered("independent-50", "50 independent", 1, 50),
    layered("layers-5x10", "5 layers of 10", 5, 10),
    layered("independent-200", "200 independent", 1, 200),
)
#: Tries the harness itself.
QUICK = Case("quick-3", "one, then two", (("app-00-000",), ("app-01-000", "app-01-001")))


def values(release: str) -> dict[str, object]:
    """The values of one release; each has its own, so that none is rendered from another's cache."""
    return {"settings": {"GREETING": f"hello from {release}"}}


def base_files(chart_repository: str) -> dict[str, str]:
    """What the repository holds before the commit that is measured: the namespace and the chart repository."""
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n"
    repository = f"""\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata:
  name: charts
  namespace: {NAMESPACE}
spec:
  interval: 15m
  url: {chart_repository}
"""
    return {f"{FOLDER}/namespace.yaml": namespace, f"{FOLDER}/charts.yaml": repository}


def release_files(case: Case) -> dict[str, str]:
    """The commit that is measured: one file a release."""
    files: dict[str, str] = {}
    above: Sequence[str] = ()
    for layer in case.layers:
        for release in layer:
            files[f"{FOLDER}/releases/{release}.yaml"] = _helm_release(release, above)
        above = layer
    return files


def plain_files(count: int, changed: Mapping[int, str] | None = None) -> dict[str, str]:
    """So many ConfigMaps, each a file; ``changed`` gives some of them another value."""
    changed = changed or {}
    return {
        f"{FOLDER}/plain/group-{number // 100:02}/settings-{number:04}.yaml": _config_map(
            number, changed.get(number, "as it was")
        )
        for number in range(count)
    }


def _helm_release(name: str, after: Sequence[str]) -> str:
    depends = "".join(f"    - name: {other}\n" for other in after)
    return f"""\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata:
  name: {name}
  namespace: {NAMESPACE}
spec:
  interval: 10m
  timeout: 2m
  chart:
    spec:
      chart: app
      version: {CHART_VERSION}
      sourceRef:
        kind: HelmRepository
        name: charts
{"  dependsOn:" + chr(10) + depends if depends else ""}\
  values:
    settings:
      GREETING: hello from {name}
"""


def _config_map(number: int, value: str) -> str:
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings-{number:04}
  namespace: {NAMESPACE}
  labels:
    app.kubernetes.io/name: settings
    app.kubernetes.io/part-of: benchmark
data:
  number: "{number}"
  value: {value}
  application.properties: |
    log.level=info
    cache.size=100
    cache.host=redis-{number % 7}.default.svc
"""
