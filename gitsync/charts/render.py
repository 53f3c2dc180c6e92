"""Rendering: a chart and values to what Helm would install. Blocks: ``Charts.render`` runs it in a thread."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Mapping
from typing import Any

import helm_python
from cachetools import LRUCache

from gitsync import semver
from gitsync.charts import archive, native
from gitsync.charts.archive import ArchiveFile
from gitsync.charts.cache import Cache
from gitsync.charts.chart import Chart, Uses, Variant, crd_objects, values_use
from gitsync.charts.hooks import Sorted, sort_out
from gitsync.charts.model import Capabilities, ReleaseContext, Rendered
from gitsync.errors import ChartError, GitsyncError, RenderError, ValuesError

#: What the caches of results may hold, in characters of manifest; the parsed objects weigh about ten times that.
_CACHED_TEXT = 4 * 1024 * 1024
#: Accesses to clusters that are kept open, each of which is some configuration in the SDK's memory.
_MAX_CONFIGS = 16


class Renderer:
    """Renders charts, remembers results, and keeps the SDK's access to clusters."""

    def __init__(self) -> None:
        self._results: Cache[Rendered] = Cache(_CACHED_TEXT)
        self._configs: LRUCache[str, helm_python.Config] = LRUCache(_MAX_CONFIGS)
        self._lock = threading.Lock()

    def render(
        self,
        chart: Chart,
        values: Mapping[str, Any],
        context: ReleaseContext,
        capabilities: Capabilities | None,
        access: Mapping[str, Any] | None,
        validate: bool,
    ) -> Rendered:
        """See ``Charts.render``."""
        text = _json(values, chart)
        uses = _both(chart.uses, values_use(text))
        _refuse_old_cluster(chart, capabilities)
        key = _key(chart, text, context, capabilities if uses.api_versions else None, validate) + (
            capabilities.kube_version if capabilities else ""
        )
        if not uses.impure:
            known = self._results.get(key)
            if known is not None:
                return known
        variant = Variant(schema=validate, exact_apis=_always_claimed() if uses.api_versions and capabilities else 0)
        options = _options(context, capabilities, uses)
        config = self._config(access) if access is not None and uses.lookup else None
        try:
            result = _rendered(chart, variant, text, options, config)
        except (RenderError, ValuesError) as error:
            raise _about(error, chart)  # noqa: B904  # the same error, told which chart
        if not uses.impure:
            self._results.put(
                key, result, len(result.manifest) + sum(len(hook.manifest) for hook in result.hooks) + 1000
            )
        return result

    def close(self) -> None:
        """Closes the accesses to clusters and forgets results."""
        with self._lock:
            for config in self._configs.values():
                config.close()
            self._configs.clear()
        self._results.clear()

    def _config(self, access: Mapping[str, Any]) -> helm_python.Config:
        key = hashlib.sha256(json.dumps(access, sort_keys=True, default=str).encode()).hexdigest()
        with self._lock:
            config = self._configs.get(key)
            if config is None:
                # The SDK frees one that is dropped with the last reference: whoever renders with it keeps it open.
                config = self._configs[key] = native.connect(access)
            return config


def _rendered(
    chart: Chart, variant: Variant, values: str, options: Mapping[str, Any], config: helm_python.Config | None
) -> Rendered:
    with chart.handle(variant) as handle:
        templates = handle.render(values, options, config)
        sorted_out: Sorted = sort_out(chart.name, templates)
        if not chart.has_dependencies:
            return _result(sorted_out, chart.crds, chart.record())
        # What the SDK made of the chart with these values is what Helm records.
        record = {**chart.record(), "metadata": handle.metadata(), "values": handle.values()}
        return _result(sorted_out, crd_objects(handle), record)


def _result(found: Sorted, crds: tuple[dict[str, Any], ...], record: dict[str, Any]) -> Rendered:
    return Rendered(found.manifest, found.objects, found.hooks, found.notes, crds, record)


def _json(values: Mapping[str, Any], chart: Chart) -> str:
    try:
        return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValuesError(f"values are no JSON: {error}", chart=chart.name, version=chart.version) from None


def _both(one: Uses, other: Uses) -> Uses:
    return Uses(*(a or b for a, b in zip(one, other, strict=True)))


def _key(chart: Chart, values: str, context: ReleaseContext, capabilities: Capabilities | None, validate: bool) -> str:
    digest = hashlib.sha256(values.encode("utf-8", "surrogatepass")).hexdigest()
    return "\0".join((chart.digest, digest, repr(context), capabilities.digest if capabilities else "", str(validate)))


def _options(context: ReleaseContext, capabilities: Capabilities | None, uses: Uses) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": context.name,
        "namespace": context.namespace,
        "revision": context.revision,
        "is_install": context.is_install,
        "is_upgrade": context.is_upgrade,
    }
    if capabilities is not None:
        options["kube_version"] = capabilities.kube_version
        if uses.api_versions:
            options["api_versions"] = list(capabilities.api_versions)
    return options


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


def _refuse_old_cluster(chart: Chart, capabilities: Capabilities | None) -> None:
    wanted = chart.metadata.get("kubeVersion")
    if wanted and capabilities and not semver.compatible(str(wanted), capabilities.kube_version):
        raise ChartError(
            f"chart {chart.name} requires Kubernetes {wanted}, and the cluster has {capabilities.kube_version}",
            chart=chart.name,
            version=chart.version,
            hint="choose a version of the chart for this cluster",
        )


def _about(error: GitsyncError, chart: Chart) -> GitsyncError:
    if isinstance(error, ChartError):
        error.chart, error.version = chart.name, chart.version
    return error
