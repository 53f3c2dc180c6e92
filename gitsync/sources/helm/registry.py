"""Charts of a HelmRepository of type oci: each chart is a repository of the registry, each version a tag of it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from functools import partial

from cachetools import TTLCache

from gitsync import semver
from gitsync.errors import ArtifactError, ChartError, ChartNotFound, ChartRepositoryUnavailable, NotVerified
from gitsync.oci import Descriptor, Registry, Repository
from gitsync.oci.repository import split_url
from gitsync.runtime.singleflight import SingleFlight
from gitsync.sources.helm.http import chart_errors
from gitsync.sources.helm.spec import IndexEntry, RepositorySpec
from gitsync.sources.oci.verification import CosignVerification, check_signed
from gitsync.sources.store import Store
from gitsync.sources.turns import Turns
from gitsync.spool import Body

#: What Helm calls a chart's layer; the second before Helm 3.7.
_CHART_TYPES = ("application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip")
#: Seconds for which a chart is looked for without anybody asking for it, and how many of them.
_ASKED_FOR = 86_400.0
_MOST = 4096
_FOLDER = "tags"
_SHA256 = "sha256:"
#: A chart, where none is meant.
_ANY = "any"

#: Ids of a repository and of the signatures that are asked for, chart, version.
Wanted = tuple[str, str, str, str]


class RegistryCharts:
    """Finds charts by their tags, and fetches them. What a version or range means is looked up once, and again at
    each ``refresh``."""

    def __init__(self, registry: Registry, store: Store, turns: Turns, limit: int) -> None:
        self._registry = registry
        self._store = store
        self._turns = turns
        self._limit = limit
        self._found: dict[Wanted, IndexEntry] = {}
        self._verifications: dict[str, CosignVerification] = {}
        self._asked: TTLCache[Wanted, bool] = TTLCache(_MOST, _ASKED_FOR, time.monotonic)
        self._resolving: SingleFlight[IndexEntry] = SingleFlight()

    async def close(self) -> None:
        """Ends what is under way."""
        await self._resolving.close()

    async def refresh(self, spec: RepositorySpec) -> tuple[bool, int]:
        """Looks up again all charts that were asked for. Returns whether one has changed or is gone, and how many they
        are. News of one chart is returned even if another one fails.

        Raises: ChartRepositoryUnavailable, ChartError, where one fails and there is no news.
        """
        for wanted in [item for item in self._found if item[0] == spec.id and item not in self._asked]:
            del self._found[wanted]
        used = {item[1] for item in (*self._found, *self._asked)}
        self._verifications = {key: item for key, item in self._verifications.items() if key in used}
        known = {item: entry for item, entry in self._found.items() if item[0] == spec.id}
        asked = [self._resolve(spec, item) for item in known]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        for item, outcome in zip(known, outcomes, strict=True):
            if isinstance(outcome, ChartNotFound):  # raised to the release that asks for this chart
                self._found.pop(item, None)
        changed = any(self._found.get(item) != entry for item, entry in known.items())
        failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failed and not changed:
            raise failed[0]
        return changed, len(known)

    async def look(self, spec: RepositorySpec) -> None:
        """Checks that the registry answers, and takes the login. Raises: ChartRepositoryUnavailable, ChartError."""
        with chart_errors():
            await self._registry.ping(_repository(spec, _ANY))

    async def resolve(
        self, spec: RepositorySpec, chart: str, version: str, verification: CosignVerification | None = None
    ) -> IndexEntry:
        """The version that a version or range ("" is ``*``) was last found to mean; with ``verification``, of those
        that are signed as it demands.

        Raises: ChartNotFound, ChartError, ChartRepositoryUnavailable.
        """
        demand = verification.id if verification is not None else ""
        if verification is not None:
            self._verifications[demand] = verification
        wanted = (spec.id, demand, chart, version)
        self._asked[wanted] = True
        return self._found.get(wanted) or await self._resolve(spec, wanted)

    def forget(self, spec: RepositorySpec) -> None:
        """Drops what is known of a HelmRepository that nothing refers to any more."""
        for wanted in [item for item in self._found if item[0] == spec.id]:
            del self._found[wanted]

    async def download(self, spec: RepositorySpec, chart: str, entry: IndexEntry) -> Body:
        """The archive. Raises: as ``resolve``."""
        with chart_errors():
            layer = Descriptor(_CHART_TYPES[0], _SHA256 + entry.digest, entry.size)
            return await self._registry.blob(_repository(spec, chart), layer, self._limit)

    async def _resolve(self, spec: RepositorySpec, wanted: Wanted) -> IndexEntry:
        name = hashlib.sha256("\0".join(wanted).encode()).hexdigest()
        try:
            verification = self._verifications[wanted[1]] if wanted[1] else None
            work = partial(self._ask, spec, verification, wanted[2], wanted[3])
            found = await self._turns.shared(
                spec.owner, spec.host, spec.shown, self._resolving, name, work, spec.secrets
            )
        except ChartRepositoryUnavailable:
            # After a restart, what was found before it.
            kept = IndexEntry.read(await asyncio.to_thread(self._store.data, _FOLDER, name))
            if wanted in self._found or kept is None:
                raise
            self._found[wanted] = kept
            return kept
        if self._found.get(wanted) != found:
            self._found[wanted] = found
            await asyncio.to_thread(self._store.keep_data, _FOLDER, name, found.data())
        return found

    async def _ask(
        self, spec: RepositorySpec, verification: CosignVerification | None, chart: str, version: str
    ) -> IndexEntry:
        with chart_errors():
            repository = _repository(spec, chart)
            # An exact version costs no list of tags, which may be long.
            exact = semver.is_strict(version)
            tag = _tag(version) if exact else _choose(await self._registry.tags(repository), chart, version, spec)
            manifest = await self._registry.manifest(repository, tag)
            if verification is not None:  # by the manifest that names the layer: the tag may have moved meanwhile
                await self._check(repository, manifest.digest, verification, chart, version)
            layer = next((item for item in manifest.layers if item.media_type in _CHART_TYPES), None)
            if layer is None or not layer.digest.startswith(_SHA256):
                raise ArtifactError(f"{repository}:{tag} is no chart: it has no layer of media type {_CHART_TYPES[0]}")
        created = manifest.annotations.get("org.opencontainers.image.created", "")
        place = f"{repository}@{manifest.digest}"
        return IndexEntry(_version(tag), layer.digest.removeprefix(_SHA256), (place,), created, size=layer.size)

    async def _check(
        self, repository: Repository, digest: str, verification: CosignVerification, chart: str, version: str
    ) -> None:
        try:
            await check_signed(self._registry, repository, digest, verification)
        except NotVerified as error:
            raise ChartError(error.message, chart=chart, version=version, hint=error.hint) from error


def _repository(spec: RepositorySpec, chart: str) -> Repository:
    host, name = split_url(f"{spec.url.rstrip('/')}/{chart}")
    login = spec.login(host, name)
    return Repository(host, name, login, spec.connection, spec.insecure, spec.timeout, spec.owner, spec.lender)


def _choose(tags: Sequence[str], chart: str, version: str, spec: RepositorySpec) -> str:
    """The version itself if there is a tag for it, else the highest in the range, of versions of three numbers.
    Raises: ChartNotFound."""
    versions = {_version(tag): tag for tag in tags}
    if version in versions:
        return versions[version]
    strict = sorted(filter(semver.is_strict, versions), reverse=True)
    try:
        chosen = semver.choose(strict, version)
    except semver.BadVersion as error:
        raise ChartNotFound(str(error), chart=chart, version=version) from None
    if chosen is None:
        raise ChartNotFound(f"no version {version!r} of chart {chart!r} in {spec.shown}", chart=chart, version=version)
    return versions[chosen]


def _tag(version: str) -> str:
    """The tag of a version. A tag cannot have a ``+``; Helm writes ``_`` for it."""
    return version.replace("+", "_")


def _version(tag: str) -> str:
    return tag.replace("_", "+")
