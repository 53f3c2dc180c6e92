"""Renderings asked of worker processes, and remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gitsync import semver
from gitsync.charts.chart import Chart, Static
from gitsync.errors import ChartError, ValuesError
from gitsync.helm.rendered import Capabilities, Hook, ReleaseContext, Rendered
from gitsync.helm.uses import Uses, values_use
from gitsync.runtime.cache import Cache, Room

#: What the results may weigh: ten for a character of a manifest, as its objects weigh about ten times that, and one and
#: a half for each of the chart's, whose record goes with them.
_CACHED = 48 << 20


class Rendering:
    """One thing to be rendered: a chart with values, for a release, on a cluster."""

    def __init__(
        self,
        chart: Chart,
        values: Mapping[str, Any],
        context: ReleaseContext,
        capabilities: Capabilities | None,
        access: Mapping[str, Any] | None,
        validate: bool,
    ) -> None:
        """Raises: ValuesError for values that are no JSON; ChartError for a chart that is for another Kubernetes."""
        self.chart = chart
        self.values = _json(values, chart)
        self._uses = _both(chart.uses, values_use(self.values))
        self._context = context
        self._capabilities = capabilities
        self._access = access
        self._validate = validate
        _refuse_old_cluster(chart, capabilities)

    @property
    def is_pure(self) -> bool:
        """Whether the same comes out each time."""
        return not self._uses.impure

    @property
    def subject(self) -> str:
        """What decides how much rendering it takes."""
        values = hashlib.sha256(self.values.encode("utf-8", "surrogatepass")).hexdigest()
        return "\0".join((self.chart.packed.id, values, str(self._validate)))

    @property
    def key(self) -> str:
        """What decides what comes out, if it is pure."""
        seen = self._capabilities if self._uses.api_versions else None
        version = self._capabilities.kube_version if self._capabilities else ""
        return "\0".join((self.subject, repr(self._context), seen.digest if seen else "", version))

    def question(self) -> dict[str, Any]:
        """What a worker is to know beside the chart and the values."""
        context, capabilities = self._context, self._capabilities
        return {
            "context": {name: getattr(context, name) for name in ReleaseContext.__slots__},
            "kube_version": capabilities.kube_version if capabilities else "",
            "api_versions": capabilities.api_versions if capabilities and self._uses.api_versions else (),
            "uses": self._uses,
            # Only to those that look objects up: these are credentials.
            "access": self._access if self._uses.lookup else None,
            "validate": self._validate,
            "static": self.chart.static is None,
        }


class Renderings:
    """The results used last, in a ``room`` with others."""

    def __init__(self, room: Room) -> None:
        self._results: Cache[Rendered] = Cache(_CACHED, room)

    def known(self, rendering: Rendering) -> Rendered | None:
        """What came of it before, if that holds."""
        return self._results.get(rendering.key) if rendering.is_pure else None

    def result(self, rendering: Rendering, said: dict[str, Any]) -> Rendered:
        """What a worker's answer says, which is remembered if it is pure."""
        chart, first = rendering.chart, False
        if chart.static is None:
            first, chart.static = True, Static(said["static"]["record"], tuple(said["static"]["crds"]))
        rendered = Rendered(
            manifest=said["manifest"],
            objects=tuple(said["objects"]),
            hooks=tuple(_hook(hook) for hook in said["hooks"]),
            notes=said["notes"],
            crds=chart.static.crds if said["crds"] is None else tuple(said["crds"]),
            chart_record=_record(chart.static.record, said),
        )
        if rendering.is_pure:
            text = len(rendered.manifest) + sum(len(hook.manifest) for hook in rendered.hooks) + 1000
            # The record is shared by all renderings of a chart: it weighs once.
            self._results.put(rendering.key, rendered, 10 * text + (chart.packed.size * 15 if first else 0))
        return rendered

    def clear(self) -> None:
        """Forgets them."""
        self._results.clear()


def _hook(said: dict[str, Any]) -> Hook:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return Hook(**fields)


def _record(record: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    if said["metadata"] is None:
        return record
    return {**record, "metadata": said["metadata"], "values": said["values"]}


def _json(values: Mapping[str, Any], chart: Chart) -> str:
    try:
        return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValuesError(f"values are no JSON: {error}", chart=chart.name, version=chart.version) from None


def _both(one: Uses, other: Uses) -> Uses:
    return Uses(*(a or b for a, b in zip(one, other, strict=True)))


def _refuse_old_cluster(chart: Chart, capabilities: Capabilities | None) -> None:
    wanted = chart.metadata.get("kubeVersion")
    if wanted and capabilities and not semver.compatible(str(wanted), capabilities.kube_version):
        raise ChartError(
            f"chart {chart.name} requires Kubernetes {wanted}, and the cluster has {capabilities.kube_version}",
            chart=chart.name,
            version=chart.version,
            hint="choose a version of the chart for this cluster",
        )
