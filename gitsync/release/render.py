"""Renders a desired release into the content of a revision; for the agent and for ``gitsync plan``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gitsync.budget import Budget
from gitsync.charts import Capabilities, Charts, ReleaseContext, Rendered
from gitsync.errors import GitsyncError
from gitsync.release.clusters import TargetCluster
from gitsync.release.desired import DesiredRelease
from gitsync.release.masking import without_secrets
from gitsync.release.postrender.postrender import post_rendered
from gitsync.release.revision import CountedAction, RevisionContent, context_of
from gitsync.release.values.reuse import with_preserved_values
from gitsync.runtime.memory import Memory, TakenMemory
from gitsync.weight import object_weight

if TYPE_CHECKING:
    from gitsync.cluster import Cluster, Served

#: Makes the content of the revision with this number.
MakeContent = Callable[[int], Awaitable[RevisionContent]]


#: Bytes of memory for the rendered objects of all releases under way, for those of one namespace, and what each
#: namespace may take whatever the others have; a release of at most UNCOUNTED does not count.
TOGETHER: Final = 96 << 20
OF_NAMESPACE: Final = 72 << 20
ALWAYS: Final = 16 << 20
UNCOUNTED: Final = 4 << 20
#: Characters of a manifest that takes no more than UNCOUNTED: the densest takes forty times its length.
_LIGHT: Final = UNCOUNTED // 40


class Renderer:
    """Renders desired releases. The memory of the results is bounded, also ``within`` a larger budget."""

    def __init__(self, charts: Charts, within: Budget | None = None) -> None:
        self._charts = charts
        self._memory = Memory("rendered objects", TOGETHER, OF_NAMESPACE, ALWAYS, within)

    async def render(self, desired: DesiredRelease, context: ReleaseContext, cluster: Cluster | None) -> Rendered:
        """Render for a cluster: with its version, its API versions, and its objects for ``lookup``; without one, with
        Helm's defaults, as ``helm template`` does.

        Raises: ValuesError, RenderError, ChartError; RetryableError. Secret values are kept out of the messages.
        """
        try:
            rendered = await self._charts.render(
                await desired.chart.load(),
                desired.values,
                context,
                capabilities=_capabilities(await cluster.served()) if cluster else None,
                access=cluster.helm_access() if cluster else None,
                validate=desired.validate,
                owner=desired.owner,
            )
            if desired.post_rendering is None:
                return rendered
            return await post_rendered(rendered, desired.post_rendering, self._charts.kustomizer, desired.owner)
        except GitsyncError as error:
            raise without_secrets(error, desired.secrets)  # noqa: B904  # the same error, with fewer words

    def content(self, target: TargetCluster, desired: DesiredRelease, action: CountedAction) -> MakeContent:
        """The function that makes the content of a revision for ``action`` at ``target``.

        It raises: as ``render``; RetryableError when there is no memory for it; NotFound, RecordError when values are
        to be preserved and cannot be.
        """

        async def make(revision: int) -> RevisionContent:
            wanted = desired
            if desired.preserve_values and action == "upgrade":
                wanted = await with_preserved_values(self._charts, target.records, desired)
            rendered = await self.render(wanted, context_of(desired.ref, revision, action), target.cluster)
            return RevisionContent(
                chart=rendered.chart_record,
                config=wanted.values,
                manifest=rendered.manifest,
                objects=rendered.objects,
                digests=wanted.digests,
                hooks=[hook.record() for hook in rendered.hooks],
                notes=rendered.notes,
                crds=rendered.crds,
                held=await self._held(desired.owner, rendered),
            )

        return make

    async def _held(self, owner: str, rendered: Rendered) -> TakenMemory | None:
        """Take memory for a result. Raises: RetryableError when there is none: waiting would keep the result in memory
        all the same."""
        if len(rendered.manifest) <= _LIGHT:
            return None
        weight = await asyncio.to_thread(object_weight, rendered.objects)
        return self._memory.hold(owner, weight) if weight > UNCOUNTED else None


@lru_cache(8)
def _capabilities(served: Served) -> Capabilities:
    return Capabilities.of(served.version, served.kinds)
