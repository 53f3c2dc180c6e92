"""What a worker process is asked (``runtime.child``): each function takes data that JSON can hold and pieces of bytes,
and returns the same. A worker keeps the charts that it used last, and says when it has to be given one again.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cachetools import LRUCache

from gitsync.errors import ArtifactError, ChartError, YamlError
from gitsync.helm import archive, defaults, index
from gitsync.helm.composing import Part, composed, not_shown, secrets_of
from gitsync.helm.dependencies import ChartHead, head_of, head_of_archive
from gitsync.helm.loaded import LoadedChart, with_build
from gitsync.helm.rendered import Hook, ReleaseContext
from gitsync.helm.rendering import Request, render
from gitsync.helm.uses import Uses
from gitsync.helm.values import merge_values, values_yaml
from gitsync.kubeyaml import decode, load, split

Answer = tuple[Any, list[bytes]]

#: The answer of one who was not given the chart and does not have it.
LACKING: Final = "lacking"
#: Bytes of the charts that are kept, unpacked; in the SDK's memory they take more.
_KEPT = 24 << 20
_LEAST = 256 << 10
_charts: LRUCache[str, LoadedChart] = LRUCache(_KEPT, getsizeof=lambda chart: max(chart.size, _LEAST))


class _Lacking(Exception):
    pass


def describe_chart(asked: Any, blobs: list[bytes]) -> Answer:
    """Loads a chart, and says what can be known of it without rendering it."""
    chart = _chart(asked, blobs)
    about = {
        "name": chart.name,
        "version": chart.version,
        "app_version": chart.app_version,
        "metadata": chart.metadata,
        "values": chart.values,
        "uses": chart.uses,
        "has_dependencies": chart.has_dependencies,
    }
    return about, []


def render_chart(asked: Any, blobs: list[bytes]) -> Answer:
    """Renders one, the values being the last of ``blobs``."""
    try:
        chart = _chart(asked, blobs)
    except _Lacking:
        return LACKING, []
    request = Request(
        values=blobs[-1].decode("utf-8", "surrogatepass"),
        context=ReleaseContext(**asked["context"]),
        kube_version=asked["kube_version"],
        api_versions=tuple(asked["api_versions"]),
        uses=Uses(*asked["uses"]),
        access=asked["access"],
        validate=asked["validate"],
    )
    outcome = render(chart, request)
    answer = {
        "manifest": outcome.manifest,
        "objects": outcome.objects,
        "hooks": [_hook(hook) for hook in outcome.hooks],
        "notes": outcome.notes,
        "crds": outcome.crds,
        "metadata": outcome.metadata,
        "values": outcome.values,
        "static": _static(chart) if asked["static"] else None,
    }
    return answer, []


def read_values_files(asked: Any, blobs: list[bytes]) -> Answer:
    """The values in some files of a chart, or in files that are given after the chart."""
    try:
        chart = _chart(asked, blobs)
    except _Lacking:
        return LACKING, []
    names = asked["files"]
    files = dict(zip(names, blobs[asked["given"] :], strict=True)) if names is not None else None
    return defaults.read_values_files(chart, asked["paths"], asked["ignore_missing"], files), []


def coalesce_values(asked: Any, blobs: list[bytes]) -> Answer:
    """Values over a chart's default values, both as JSON."""
    values, below = (json.loads(blob) for blob in blobs)
    return defaults.over_defaults(values, below), []


def compose_values(asked: Any, blobs: list[bytes]) -> Answer:
    """Values out of texts (``asked``: the rest of ``composing.Part``) over others, as JSON; and those scalars of them
    that are secret, and not shown elsewhere. ``blobs`` are the other values as JSON, what is shown, and the texts.

    Raises: ValuesError.
    """
    inline, shown, *texts = (blob.decode("utf-8", "surrogatepass") for blob in blobs)
    parts = [Part(name, text, *how) for (name, *how), text in zip(asked, texts, strict=True)]
    values = json.dumps(composed(parts, json.loads(inline) or {}), ensure_ascii=False)
    return list(not_shown(shown, secrets_of(parts))), [values.encode("utf-8", "surrogatepass")]


def merge_yaml(asked: Any, blobs: list[bytes]) -> Answer:
    """Files of values, later ones over earlier ones, as one; ``asked`` has what messages call each of them. All
    documents of a file count.

    Raises: ArtifactError for what is no YAML, or holds something else than maps.
    """
    merged: dict[str, Any] = {}
    for name, blob in zip(asked, blobs, strict=True):
        try:
            for document in split(decode(blob)):
                value = load(document.text)
                if not isinstance(value, dict | None):
                    raise ArtifactError(f"{name}:{document.line}: a list cannot be merged, only a map can")
                merged = merge_values(merged, value or {})
        except YamlError as error:
            place = f"{name}:{error.line}" if error.line else name
            raise ArtifactError(f"{place}: {error.message}", hint=error.hint) from None
    return None, [values_yaml(merged, sort=True)]


def describe_folder(asked: Any, blobs: list[bytes]) -> Answer:
    """What the files of a chart's folder, packed, say of the chart."""
    return _head(head_of({file.name: file.data for file in archive.read(blobs[0])})), []


def describe_archive(asked: Any, blobs: list[bytes]) -> Answer:
    """Name and version of a packaged chart; ``asked`` is what messages call it."""
    return _head(head_of_archive(blobs[0], asked)), []


def read_index(asked: Any, blobs: list[bytes]) -> Answer:
    """A repository's index, reduced; ``asked`` is its URL for messages."""
    lines = index.read(blobs.pop(), asked)
    return lines.count(b"\n") + bool(lines), [lines]


def _chart(asked: Any, blobs: list[bytes]) -> LoadedChart:
    """The chart: what stands first in ``blobs`` are its archive and its values.yaml, as far as they are given.

    Raises: _Lacking; ChartError.
    """
    chart = _charts.get(asked["chart"])
    if chart is None:
        if not asked["given"]:
            raise _Lacking
        data = blobs[0] if asked["given"] == 1 else archive.with_file(blobs[0], "values.yaml", blobs[1])
        if asked["build"]:
            data = with_build(data, asked["build"])
        chart = LoadedChart(data, asked["chart"])
        if chart.size <= _KEPT:
            _charts[asked["chart"]] = chart
    return chart


def _static(chart: LoadedChart) -> dict[str, Any]:
    """The part of an answer that is the same in all renderings of a chart."""
    try:
        return {"record": chart.record(), "crds": () if chart.has_dependencies else chart.crds}
    except ChartError as error:
        error.chart, error.version = chart.name, chart.version
        raise


def _hook(hook: Hook) -> dict[str, Any]:
    return {name: getattr(hook, name) for name in Hook.__slots__}


def _head(head: ChartHead) -> list[Any]:
    return [head.name, head.version, [[item.name, item.version, item.repository] for item in head.missing]]
