"""Rendering releases to find out what they will have, without waiting too long for those of others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from cachetools import TTLCache

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.api.names import HELM_GROUP, HELM_RELEASE, KUSTOMIZATION, KUSTOMIZE_GROUP, RBAC_GROUP
from gitsync.errors import RetryableError
from gitsync.release.wanted.comingsync import Commits
from gitsync.release.wanted.question import Question
from gitsync.release.wanted.reach import Reach
from gitsync.release.wanted.revisionobjects import RevisionObjects
from gitsync.runtime.progress import reporting, telling
from gitsync.runtime.together import in_time
from gitsync.text import listed

ObjectsOf = Callable[[HelmRelease], Awaitable[RevisionObjects]]
#: Seconds to wait for the chart of another release to be fetched and rendered.
RENDER_TIMEOUT = 60.0
#: The same for a release whose account may not write what is asked about; and for those of a namespace whose releases
#: have already been waited for RENDER_TIMEOUT seconds within the last _PATIENCE_LASTS.
OUT_OF_REACH_TIMEOUT = 2.0
_PATIENCE_LASTS = 600.0
_MOST_NAMESPACES = 1_000


@dataclass
class Renderings:
    """``objects_of`` renders a release; ``reach`` says which objects it may write."""

    objects_of: ObjectsOf
    reach: Callable[[], Reach]
    #: By namespace, the time until which its releases are waited for.
    _patience: TTLCache[str, float] = field(default_factory=lambda: TTLCache(_MOST_NAMESPACES, _PATIENCE_LASTS))

    async def one(self, release: HelmRelease) -> RevisionObjects:
        """``objects_of`` with a deadline: some tenant's chart may be on a server that does not answer."""
        name = release.key.namespaced_name
        return await in_time(self.objects_of(release), RENDER_TIMEOUT, f"release {name} has not been rendered")

    async def all(
        self, releases: Collection[HelmRelease], commits: Mapping[ObjectKey, Commits], question: Question
    ) -> list[RevisionObjects | BaseException]:
        """What each release will have, or the error that keeps it from being rendered. One reason for waiting is
        reported for all, rather than each one's in turns."""
        left = {release.key for release in releases}

        async def one(release: HelmRelease) -> RevisionObjects:
            try:
                return await self._for(release, commits[release.key], question)
            finally:
                left.discard(release.key)

        async with telling(lambda: f"what {listed(left)} will have" if left else ""):
            with reporting(_to_nobody):
                work = asyncio.gather(*map(one, releases), return_exceptions=True)
            return await work

    async def _for(self, release: HelmRelease, commits: Commits, question: Question) -> RevisionObjects:
        """Render one release; with a short deadline where it may not write what is asked about, or where its namespace
        has been waited for long enough."""
        work, name = asyncio.ensure_future(self.one(release)), release.key.namespaced_name
        try:
            done, _ = await asyncio.wait({work}, timeout=OUT_OF_REACH_TIMEOUT)
            if not done and not await self._may_have(release, commits, question):
                raise RetryableError(f"release {name} has not been rendered, and its account may write none of it")
            if not done and self._is_strange(release, commits, question):
                done, _ = await asyncio.wait({work}, timeout=self._patience_with(release.metadata.namespace))
                if not done:
                    raise RetryableError(f"release {name} has not been rendered; it was waited for long enough")
            return await work
        finally:
            work.cancel()

    async def _may_have(self, release: HelmRelease, commits: Commits, question: Question) -> bool:
        """Whether a release, or one in its chart, may write any of the objects that are asked about."""
        if question.cluster or not question.keys or question.is_of(commits) or not self.reach().account(release):
            return True
        brought = ((HELM_GROUP, HELM_RELEASE), (KUSTOMIZE_GROUP, KUSTOMIZATION), (RBAC_GROUP, "RoleBinding"))
        namespaces = {key.namespace for key in question.keys}
        by_others = [ObjectKey(*kind, name, release.key.name) for name in sorted(namespaces) for kind in brought]
        for key in (*by_others, *question.keys):
            if await self.reach().covers(release, key):
                return True
        return False

    def _is_strange(self, release: HelmRelease, commits: Commits, question: Question) -> bool:
        """Whether a release is in another namespace than the asker, and was not changed by a commit that the asker is
        acting on."""
        return release.metadata.namespace != question.asker.object.namespace and not question.concerns(commits)

    def _patience_with(self, namespace: str) -> float:
        """Seconds that are left for strange releases of a namespace: a chart that never comes must not make everybody
        wait each time that something is deleted."""
        now = asyncio.get_running_loop().time()
        return max(0.0, self._patience.setdefault(namespace, now + RENDER_TIMEOUT) - now)


async def _to_nobody(_: str) -> None:
    """A listener that keeps the reasons of single renderings to itself."""
