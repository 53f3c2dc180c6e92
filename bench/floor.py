"""The floor: the same objects, applied and awaited in the same order, with nothing else done.

No Git, no charts, no records, no HelmReleases, no status: whoever brings these objects into this cluster in this order
cannot be much faster.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from bench.api import PATHS, Api, Manifest
from bench.cases import CHART, Case, values
from bench.errors import BenchError
from gitsync.charts import Charts, ReleaseContext
from gitsync.charts.serve import files_below
from gitsync.charts.source import archive_from_files
from gitsync.spool import Body

#: Objects of a release by its name.
Rendering = Mapping[str, Sequence[Manifest]]


async def render(case: Case, namespace: str, cache: Path) -> Rendering:
    """What Helm makes of the case's releases, ready to be applied."""
    charts = Charts()
    try:
        chart = await charts.from_archive(Body.of(archive_from_files(files_below(CHART))))
        rendering = {}
        for release in case.releases:
            rendered = await charts.render(chart, values(release), ReleaseContext(release, namespace))
            rendering[release] = [_placed(manifest, namespace) for manifest in rendered.objects]
        return rendering
    finally:
        await charts.close()


async def run(api: Api, case: Case, rendering: Rendering, namespace: str) -> float:
    """Seconds from the first apply until the last workload is ready. Raises: BenchError."""
    async with api.watch(PATHS["Deployment"].format(namespace)) as deployments:
        started = time.perf_counter()
        for layer in case.layers:
            try:
                async with asyncio.TaskGroup() as group:
                    for release in layer:
                        for manifest in rendering[release]:
                            group.create_task(api.apply(manifest))
                    # The watch is read from the first apply on, as it comes.
                    await _all_ready(deployments, set(layer))
            except BaseExceptionGroup as errors:  # not except*, which wraps what it raises before Python 3.11.4
                refused = errors.subgroup(BenchError)
                if refused is None:
                    raise
                raise BenchError(f"the floor of {case.title}: {refused.exceptions[0]}") from errors
        return time.perf_counter() - started


async def _all_ready(deployments: AsyncIterator[Manifest], waiting: set[str]) -> None:
    async for deployment in deployments:
        if is_ready(deployment):
            waiting.discard(deployment["metadata"]["name"])
            if not waiting:
                return
    raise BenchError("the API server ended the watch")


def is_ready(deployment: Manifest) -> bool:
    """Whether a Deployment has been rolled out, as `kubectl rollout status` sees it."""
    status, wanted = deployment.get("status") or {}, deployment["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def _placed(manifest: Manifest, namespace: str) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}
