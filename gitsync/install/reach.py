"""Checks whether the servers of a cluster's sources can be reached from here, with as few requests as possible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_suspended
from gitsync.api.names import BUCKET, GIT_REPOSITORY, HELM_REPOSITORY, OCI_REPOSITORY, SOURCE_GROUP
from gitsync.api.sources import Bucket, GitRepository, HelmRepository, OCIRepository
from gitsync.errors import Forbidden, GitsyncError, KindUnknown
from gitsync.install.checks import Finding
from gitsync.logs import keeping_secrets, redact
from gitsync.sources.helm import ChartRepositories
from gitsync.sources.resolve.bucketartifact import bucket_spec, plain_bucket_spec
from gitsync.sources.resolve.gitartifact import git_spec, plain_git_spec
from gitsync.sources.resolve.ociartifact import artifact_spec, plain_artifact_spec
from gitsync.sources.resolve.repositories import plain_spec, repository_spec
from gitsync.sources.unsupported import check_supported
from gitsync.text import counted

if TYPE_CHECKING:
    from gitsync.cluster import Cluster

#: How many sources are tried, how many at once; the seconds for each, and for all of them.
MOST = 200
_AT_ONCE = 10
PATIENCE = 10.0
ALL_PATIENCE = 60.0

_Source = HelmRepository | OCIRepository | GitRepository | Bucket
_MODELS: dict[str, Callable[[Manifest], _Source]] = {
    HELM_REPOSITORY: HelmRepository.parse,
    OCI_REPOSITORY: OCIRepository.parse,
    GIT_REPOSITORY: GitRepository.parse,
    BUCKET: Bucket.parse,
}
_HINT = "it was asked from here, with what its Secrets hold; the agent may see it otherwise"


async def sources(cluster: Cluster, namespace: str, default_account: str = "") -> AsyncIterator[Finding]:
    """What became of trying each source of a namespace, or ("") of all, in their order. A warning is what was not
    reached: the agent runs without it. ``default_account``: see Logins. No credentials are in what is said."""
    found: list[Manifest] = []
    for kind in _MODELS:
        try:
            found += await cluster.list(SOURCE_GROUP, kind, namespace=namespace)
        except KindUnknown:
            continue
        except Forbidden as error:
            yield Finding(kind, "warning", error.message, "an administrator may look")
    found.sort(key=ObjectKey.of)
    with TemporaryDirectory(prefix="gitsync-check-") as scratch:
        trying = _Trying(cluster, Path(scratch), default_account)
        tasks = [asyncio.create_task(trying.one(manifest)) for manifest in found[:MOST]]
        try:
            for task in tasks:
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await trying.fetched.close()
    if (left := len(found) - MOST) > 0:
        yield Finding("sources", "warning", f"{counted(left, 'more source')} not tried: {MOST} are, at most")


class _Trying:
    """Tries sources, some at once."""

    def __init__(self, cluster: Cluster, directory: Path, default_account: str) -> None:
        self.fetched = ChartRepositories(directory, PATIENCE, default_account=default_account)
        self._cluster = cluster
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._ends = asyncio.get_running_loop().time() + ALL_PATIENCE

    async def one(self, manifest: Manifest) -> Finding:
        """What became of one."""
        what = str(ObjectKey.of(manifest))
        if is_suspended(manifest):
            return Finding(what, "ok", "suspended, not tried")
        with keeping_secrets():
            try:
                async with asyncio.timeout_at(self._ends), self._slots, asyncio.timeout(PATIENCE):
                    said = await self._look(_MODELS[manifest["kind"]](manifest))
            except TimeoutError:
                is_over = asyncio.get_running_loop().time() >= self._ends
                why = f"not tried within {ALL_PATIENCE:g} s" if is_over else f"no answer within {PATIENCE:g} s"
                return Finding(what, "warning", why, _HINT)
            except Forbidden as error:
                return Finding(what, "warning", f"not tried: {redact(error.message)}", "an administrator may")
            except GitsyncError as error:
                return Finding(what, "warning", f"not reached: {redact(error.message)}", redact(error.hint) or _HINT)
            return Finding(what, "ok", f"reachable: {redact(said)}")

    async def _look(self, source: _Source) -> str:
        """What the source's server has, in words. Raises: GitsyncError."""
        check_supported(source)
        if isinstance(source, HelmRepository):
            repository = await repository_spec(self._cluster, source, plain_spec(source), self.fetched.logins)
            await self.fetched.look(repository)
            return repository.shown
        if isinstance(source, OCIRepository):
            artifact = await artifact_spec(self._cluster, source, plain_artifact_spec(source), self.fetched.logins)
            return f"{artifact.repository} has {await self.fetched.artifacts.look(artifact)}"
        if isinstance(source, Bucket):
            bucket = await bucket_spec(self._cluster, source, plain_bucket_spec(source))
            return f"{bucket.place} has {counted(await self.fetched.buckets.look(bucket), 'object')}"
        git = await git_spec(self._cluster, source, plain_git_spec(source), self.fetched.logins)
        found = await self.fetched.git.look(git)
        if source.spec.ref is not None and source.spec.ref.commit:  # no server is asked whether it has a commit
            return f"{git.place.url}; whether it has {found} was not tried"
        return f"{git.place.url} has {found}"
