"""Artifacts of registries, each asked for in turns, fetched once, and kept on disk by digest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from functools import partial
from typing import TypeVar

import re2
from cachetools import LRUCache

from gitsync import semver
from gitsync.charts import Chart, Charts
from gitsync.errors import ArtifactError, ChartError, SourceError, SourceMissing
from gitsync.oci import Registry
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.oci.layers import LayerTrees, key_of
from gitsync.sources.oci.spec import ArtifactSpec, OciArtifact
from gitsync.sources.oci.verification import check_signed
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from gitsync.sources.unpacking import Unpacker
from gitsync.spool import Body
from gitsync.tree import Tree
from gitsync.treememory import TreeMemory

T = TypeVar("T")

#: The largest layer that is fetched, in bytes: Flux's bound for a chart (source-controller).
MAX_ARTIFACT = 10 * 1024 * 1024
_LONGEST_FILTER = 1024
_FOLDER = "artifacts"
_MOST_KNOWN = 4096


class OciArtifacts:
    """Asks registries. ``store`` keeps the layers; ``charts`` reads those that are charts."""

    def __init__(
        self, registry: Registry, store: Store, turns: Turns, charts: Charts, unpacker: Unpacker, memory: TreeMemory
    ) -> None:
        self._registry = registry
        self._store = store
        self._turns = turns
        self._charts = charts
        self._known: LRUCache[str, OciArtifact] = LRUCache(_MOST_KNOWN)
        self._described: LRUCache[str, tuple[str, str]] = LRUCache(_MOST_KNOWN)
        self._refreshing: SingleFlight[tuple[OciArtifact, bool]] = SingleFlight()
        self._loading: SingleFlight[Chart] = SingleFlight()
        self._layers = LayerTrees(unpacker, memory)
        self._unpacking: SingleFlight[Tree] = SingleFlight()

    async def close(self) -> None:
        """Ends the requests that are under way."""
        await self._refreshing.close()
        await self._loading.close()
        await self._unpacking.close()

    async def known(self, spec: ArtifactSpec) -> OciArtifact | None:
        """The artifact that was found last, before a restart too; None if none was. No request is made."""
        found = self._known.get(spec.id)
        if found is None:
            found = OciArtifact.read(await asyncio.to_thread(self._store.data, _FOLDER, spec.id))
            if found is not None:
                self._known[spec.id] = found
        return found

    async def refresh(self, spec: ArtifactSpec) -> tuple[OciArtifact, bool]:
        """The artifact that the registry has now, fetched if it has changed, and whether it has. Concurrent calls
        for the same artifact share one request. When this fails, what was found before stays in use. Raises:
        SourceMissing, ArtifactError, SourceError, SourceUnavailable, NotVerified."""
        return await self._shared(spec, self._refreshing, spec.id, partial(self._refresh, spec))

    async def look(self, spec: ArtifactSpec) -> str:
        """The revision that the registry has now. Nothing is fetched. Raises: as ``refresh``."""
        if spec.digest:
            await self._registry.manifest(spec.repository, spec.digest)
        return await self._revision(spec)

    async def chart(self, spec: ArtifactSpec, artifact: OciArtifact) -> Chart:
        """The chart in an artifact, its version with the artifact's digest. No request is made as long as its layer is
        kept.

        Raises: ChartError where there is no chart in it; what ``refresh`` raises.
        """
        if spec.ignore is not None and not spec.copies:
            raise ChartError(
                "spec.ignore is not supported for charts: nothing is left out of one",
                hint="remove spec.ignore, or set layerSelector.operation: copy",
            )
        loaded = self._charts.loaded_build(artifact.content)
        if loaded is not None:
            return loaded
        return await self._shared(spec, self._loading, artifact.content, partial(self._load, spec, artifact))

    async def describe(self, spec: ArtifactSpec, artifact: OciArtifact) -> tuple[str, str]:
        """Name and version of the chart in an artifact. They are remembered. Raises: as ``chart``."""
        known = self._described.get(artifact.content)
        if known is None:
            chart = await self.chart(spec, artifact)
            known = self._described[artifact.content] = chart.name, chart.version
        return known

    async def tree(self, spec: ArtifactSpec, artifact: OciArtifact) -> Tree:
        """The files of an artifact, as ``flux push artifact`` has put them into it. No request is made as long as its
        layer is kept.

        Raises: ArtifactError where it holds no files; NoRoom; what ``refresh`` raises.
        """
        known = self._layers.known(spec, artifact)
        if known is not None:
            return known
        unpack = partial(self._layers.of, spec, artifact, partial(self._layer, spec, artifact))
        return await self._shared(spec, self._unpacking, key_of(spec, artifact), unpack)

    def forget(self, spec: ArtifactSpec) -> None:
        """Drops what is known of an artifact that nothing refers to any more."""
        self._known.pop(spec.id, None)

    async def _shared(
        self, spec: ArtifactSpec, flight: SingleFlight[T], key: Hashable, work: Callable[[], Awaitable[T]]
    ) -> T:
        repository = spec.repository
        where, secrets = str(repository), repository.login.secrets
        return await self._turns.shared(repository.owner, repository.host, where, flight, key, work, secrets)

    async def _refresh(self, spec: ArtifactSpec) -> tuple[OciArtifact, bool]:
        known = await self.known(spec)
        revision = await self._revision(spec)
        if known is not None and known.revision == revision:
            return known, False
        if spec.verification is not None:  # by its digest, as it is pulled: a tag may move meanwhile
            digest = revision.rpartition("@")[2]
            await check_signed(self._registry, spec.repository, digest, spec.verification)
        artifact, body = await self._pull(spec, revision)
        await asyncio.to_thread(self._store.keep_archive, body)
        await asyncio.to_thread(self._store.keep_data, _FOLDER, spec.id, artifact.data())
        self._known[spec.id] = artifact
        return artifact, True

    async def _revision(self, spec: ArtifactSpec) -> str:
        """The revision that the spec means now, written as ``OciArtifact.revision``."""
        if spec.digest:
            return spec.digest
        tag = await self._highest(spec) if spec.semver else spec.plain_tag
        return f"{tag}@{await self._registry.resolve(spec.repository, tag)}"

    async def _highest(self, spec: ArtifactSpec) -> str:
        tags = await self._registry.tags(spec.repository)
        return await asyncio.to_thread(highest_tag, tags, spec)

    async def _pull(self, spec: ArtifactSpec, revision: str) -> tuple[OciArtifact, Body]:
        repository = spec.repository
        manifest = await self._registry.manifest(repository, revision.rpartition("@")[2])
        try:
            layer = manifest.layer(spec.media_type)
        except ArtifactError as error:
            raise ArtifactError(f"{repository} at {revision}: {error.message}", hint=error.hint) from None
        body = await self._registry.blob(repository, layer, MAX_ARTIFACT)
        digest = f"sha256:{body.sha256}"
        return OciArtifact(revision, digest, len(body), layer.media_type, manifest.annotations), body

    async def _layer(self, spec: ArtifactSpec, artifact: OciArtifact) -> Body:
        """The bytes of its layer, from disk as long as they are kept."""
        body = await asyncio.to_thread(self._store.archive, artifact.digest.removeprefix("sha256:"))
        return body if body is not None else (await self._pull(spec, artifact.revision))[1]

    async def _load(self, spec: ArtifactSpec, artifact: OciArtifact) -> Chart:
        body = await self._layer(spec, artifact)
        try:
            return await self._charts.from_build(body, artifact.content, artifact.build, spec.repository.owner)
        except ChartError as error:
            raise ChartError(
                f"artifact {artifact.revision} of {spec.repository} is no chart that can be installed: {error.message}",
                chart=error.chart,
                version=error.version,
                hint=error.hint or "layerSelector has to choose a layer that `helm push` made",
            ) from error


def highest_tag(tags: Iterable[str], spec: ArtifactSpec) -> str:
    """The highest tag in the range, of those that are versions of three numbers (as Flux has it): ``1.2`` may be moved
    from one version to the next.

    Raises: SourceMissing when there is none, SourceError for a range or filter that is none.
    """
    where = str(spec.repository)
    # Of equal versions, which differ in build metadata alone, always the same one.
    versions = sorted(filter(semver.is_strict, _filtered(tags, spec)), reverse=True)
    try:
        chosen = semver.choose(versions, spec.semver)
    except semver.BadVersion as error:
        raise SourceError(f"{where}: ref.semver: {error}", url=where, hint="correct ref.semver") from None
    if chosen is None:
        filtered = f" and {spec.semver_filter!r}" if spec.semver_filter else ""
        raise SourceMissing(f"{where}: no tag is in the range {spec.semver!r}{filtered}", url=where, hint="correct ref")
    return chosen


def _filtered(tags: Iterable[str], spec: ArtifactSpec) -> list[str]:
    if not spec.semver_filter:
        return list(tags)
    try:
        if len(spec.semver_filter) > _LONGEST_FILTER:
            raise re2.error("it is too long")
        options = re2.Options()
        options.log_errors = False  # it would write lines of its own
        pattern = re2.compile(spec.semver_filter, options)  # in linear time, and by Go's grammar
    except re2.error:
        raise SourceError(
            f"{spec.repository}: ref.semverFilter is no regular expression", hint="correct ref.semverFilter"
        ) from None
    return [tag for tag in tags if pattern.search(tag)]
