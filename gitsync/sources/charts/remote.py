"""Dependencies of charts in a tree that are fetched from chart repositories."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from cachetools import TTLCache

from gitsync.errors import ChartError, ChartNotFound, ChartRepositoryUnavailable
from gitsync.helm.dependencies import Dependency
from gitsync.sources.charts.dependencies import Local, described
from gitsync.sources.helm import ChartRepositories, RepositorySpec, redacted
from gitsync.sources.resolve.repositories import RepositoryLookup
from gitsync.spool import Body

#: Seconds for which the index of a repository that nobody has declared counts as current.
UNDECLARED_INTERVAL = 600.0
_MAX_UNDECLARED = 256
_TIMEOUT = 60.0
_VENDOR = "run `helm dependency update` and commit charts/"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A version of a chart that is known to exist. ``digest`` identifies its archive, which ``load`` brings here."""

    name: str
    version: str
    digest: str
    load: Callable[[], Awaitable[Body]] = field(repr=False)


class RemoteDependencies:
    """Finds them in the HelmRepositories that have their URLs; without one, asks without credentials."""

    def __init__(self, repositories: RepositoryLookup, fetched: ChartRepositories) -> None:
        self._repositories = repositories
        self._fetched = fetched
        self._current: TTLCache[str, bool] = TTLCache(_MAX_UNDECLARED, UNDECLARED_INTERVAL)

    async def of(self, chart: Local, namespaces: Collection[str]) -> list[Fetched]:
        """The remote dependencies of one folder, by the present indexes. HelmRepositories are looked for in
        ``namespaces``.

        Raises: ChartNotFound, ChartError, ChartRepositoryUnavailable, each naming chart and dependency.
        """
        return list(await asyncio.gather(*(self._one(chart, wanted, namespaces) for wanted in chart.remote)))

    async def _one(self, chart: Local, wanted: Dependency, namespaces: Collection[str]) -> Fetched:
        _refuse(chart, wanted)
        where = " or ".join(sorted(set(namespaces)))
        try:
            spec = await self._spec(wanted.repository, namespaces)
            entry = await self._fetched.resolve(spec, wanted.name, wanted.version)
        except ChartRepositoryUnavailable as error:
            hint = error.hint or (
                f"if it needs credentials, add a HelmRepository with this URL to namespace {where}; or {_VENDOR}"
            )
            message = f"{_which(chart, wanted)}: {error.message}"
            raise ChartRepositoryUnavailable(
                message, url=error.url, hint=hint, retry_after=error.retry_after
            ) from error
        except ChartError as error:
            kind = ChartNotFound if isinstance(error, ChartNotFound) else ChartError
            message = f"{_which(chart, wanted)}: {error.message}"
            raise kind(message, chart=chart.name, version=chart.version, hint=error.hint) from error
        digest = entry.digest or f"{redacted(spec.url)}#{entry.version}@{entry.created}"
        load = partial(self._fetched.archive, spec, wanted.name, entry.version)
        return Fetched(wanted.name, entry.version, digest, load)

    async def _spec(self, url: str, namespaces: Collection[str]) -> RepositorySpec:
        key = self._repositories.with_url(url, namespaces)
        if key is not None:
            return await self._repositories.spec_of(key)
        spec = RepositorySpec(url=url, timeout=_TIMEOUT, owner=min(namespaces, default=""))
        if spec.id not in self._current:
            self._current[spec.id] = True
            with suppress(ChartRepositoryUnavailable):  # an index read before stays in use; without one, resolve raises
                await self._fetched.refresh(spec)
        return spec


def _refuse(chart: Local, wanted: Dependency) -> None:
    if not wanted.repository:
        why = "it names no repository, and is not in the chart's charts/ folder"
    elif wanted.repository.startswith(("@", "alias:")):
        why = "the name of a repository means something on one machine only: write its URL"
    else:
        return
    raise ChartError(f"{_which(chart, wanted)}: {why}", chart=chart.name, version=chart.version, hint=_VENDOR)


def _which(chart: Local, wanted: Dependency) -> str:
    return f"chart {chart.name} depends on {described(wanted)}"
