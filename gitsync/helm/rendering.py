"""Rendering: a chart and values to what Helm would install. In a worker process only."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import helm_python
from cachetools import LRUCache

from gitsync.errors import ChartError, LimitExceeded
from gitsync.helm import archive, native
from gitsync.helm.archive import ArchiveFile
from gitsync.helm.hooks import sort_out
from gitsync.helm.loaded import LoadedChart, Variant, crd_objects
from gitsync.helm.rendered import Hook, ReleaseContext
from gitsync.helm.uses import Uses

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

#: What may come out of all templates together, in characters. Helm's record of a release, a Secret, takes some 5 MiB.
MAX_RENDERED = 8 << 20
#: Accesses to clusters that are kept open, each of which is some configuration in the SDK's memory.
_MAX_CONFIGS = 16


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be rendered. ``values`` is JSON; ``access`` are arguments of helm_python.Config, None for no cluster.

    ``kube_version`` is "" where the SDK's own idea of a cluster holds.
    """

    values: str = field(repr=False)
    context: ReleaseContext
    kube_version: str
    api_versions: tuple[str, ...]
    uses: Uses
    access: Mapping[str, Any] | None = field(repr=False)
    validate: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. ``metadata``, ``values`` and ``crds`` are the chart's as the values have left it."""

    manifest: str
    objects: tuple[Manifest, ...]
    hooks: tuple[Hook, ...]
    notes: str
    crds: tuple[Manifest, ...] | None = None
    metadata: dict[str, Any] | None = None
    values: dict[str, Any] | None = None


def render(chart: LoadedChart, request: Request) -> Outcome:
    """Raises: ValuesError, RenderError, ChartError, ClusterUnavailable, MissingRight, LimitExceeded."""
    uses = request.uses
    exact = _always_claimed() if uses.api_versions and request.kube_version else 0
    config = _config(request.access) if request.access is not None and uses.lookup else None
    try:
        with chart.handle(Variant(schema=request.validate, exact_apis=exact)) as handle:
            templates = handle.render(request.values, _options(request), config)
            if sum(map(len, templates.values())) > MAX_RENDERED:
                raise LimitExceeded(f"comes to more than {MAX_RENDERED >> 20} MiB", limit="size")
            found = sort_out(chart.name, templates)
            outcome = Outcome(found.manifest, found.objects, found.hooks, found.notes)
            if not chart.has_dependencies:
                return outcome
            # What the SDK made of the chart with these values is what Helm records.
            return replace(outcome, crds=crd_objects(handle), metadata=handle.metadata(), values=handle.values())
    except ChartError as error:
        error.chart, error.version = chart.name, chart.version
        raise


def _options(request: Request) -> dict[str, Any]:
    context = request.context
    options: dict[str, Any] = {
        "name": context.name,
        "namespace": context.namespace,
        "revision": context.revision,
        "is_install": context.is_install,
        "is_upgrade": context.is_upgrade,
    }
    if request.kube_version:
        options["kube_version"] = request.kube_version
        if request.uses.api_versions:
            options["api_versions"] = list(request.api_versions)
    return options


_configs: LRUCache[str, helm_python.Config] = LRUCache(_MAX_CONFIGS)


def _config(access: Mapping[str, Any]) -> helm_python.Config:
    key = hashlib.sha256(json.dumps(access, sort_keys=True, default=str).encode()).hexdigest()
    config = _configs.get(key)
    if config is None:
        # The SDK frees one that is dropped with the last reference.
        config = _configs[key] = native.connect(access)
    return config


@functools.cache
def _always_claimed() -> int:
    """How many API versions the SDK claims for every cluster.

    It adds the given ones to those that its client library has ever known (``policy/v1beta1``, ...), where Helm's own
    install sees the cluster's alone. Templates therefore get the list without its first so many entries.
    """
    template = ArchiveFile("templates/n.yaml", b"{{ len .Capabilities.APIVersions }}")
    probe = native.Handle(
        archive.build([ArchiveFile("Chart.yaml", b"apiVersion: v2\nname: probe\nversion: 1.0.0\n"), template], "probe")
    )
    try:
        return int(probe.render("{}", {})["probe/templates/n.yaml"])
    finally:
        probe.close()
