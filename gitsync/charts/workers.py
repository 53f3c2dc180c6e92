"""The processes in which charts, and whatever else chart repositories send, are unpacked, read and rendered."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import structlog

from gitsync.charts.chart import Chart, Packed, asked
from gitsync.charts.renderings import Rendering
from gitsync.errors import ArtifactError, ChartError, LimitExceeded, RenderError, ValuesError
from gitsync.helm.composing import Part
from gitsync.helm.dependencies import ChartHead, Dependency
from gitsync.runtime.bounded import Bounds
from gitsync.runtime.places import Places
from gitsync.runtime.pool import Answer, Pool, Work
from gitsync.spool import Body, Spool

log = structlog.get_logger(__name__)

#: How many there are at most, those that run kustomize included. Each takes one processor, and some 30 MiB that it does
#: not share.
WORKERS: Final = 2
#: What one may need beyond what it has at its start. The largest public charts need a third of it.
MEMORY: Final = 192 << 20
#: Seconds that rendering may take, and loading and all else. Templates are programs, and may loop.
RENDER_DEADLINE: Final = 60.0
DEADLINE: Final = 30.0
#: Processor time in seconds, which several threads may spend at once: it ends what nobody waits for any more.
_CPU = 150.0
#: The largest answer, in bytes: a manifest and its objects, or an index.
_ANSWER = 64 << 20

_CALLS: Final = "gitsync.helm.calls"
_UNTAR: Final = "gitsync.untar"
_LACKING: Final = "lacking"
#: All that the program gets: the SDK's use of memory and processors, and the way to an API server behind a proxy.
_SET = {"GOMAXPROCS": "2", "GOMEMLIMIT": "128MiB", "MALLOC_ARENA_MAX": "2"}
_PROXY = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_PASSED = (*_PROXY, "SSL_CERT_FILE", "SSL_CERT_DIR")


class FileOfArchive(NamedTuple):
    """A file's path, its size in bytes, and its sha256 (hex)."""

    path: str
    size: int
    sha256: str


class Workers:
    """Asks worker processes. They are started when they are needed; ``close`` them. What they are to read waits in
    ``spool``. Owners, on whose behalf they are asked, take turns: namespaces."""

    def __init__(self, spool: Spool | None = None) -> None:
        self.spool = spool or Spool()
        #: Of all processes that anybody's files are given to.
        self.places = Places(WORKERS)
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ} | _SET
        modules = [_CALLS, _UNTAR]
        self._pool = Pool(self.places, Bounds(MEMORY, _CPU, _ANSWER), modules, environment)

    async def warm(self) -> None:
        """Start one before it is needed, if that can be done: the first chart need not wait for it then."""
        await self._pool.warm()

    async def close(self) -> None:
        """End them and what they are at."""
        await self._pool.close()

    async def describe(self, packed: Packed, name: str, digest: str, owner: str) -> Chart:
        """The chart; ``name`` is what messages call it until that is known, ``digest`` what it is to be known by.

        Raises: ChartError.
        """
        content, pieces = asked(packed, True)
        said, _ = await self._about(name, "loaded", "describe_chart", content, pieces, owner, packed.id)
        return Chart.of(packed, digest, said)

    async def render(self, rendering: Rendering, owner: str) -> dict[str, Any]:
        """What comes out of a chart's templates, as data.

        Raises: ValuesError, RenderError, ChartError, ClusterUnavailable, MissingRight.
        """
        chart, values = rendering.chart, rendering.values.encode("utf-8", "surrogatepass")
        try:
            said, _ = await self._of_chart(
                "render_chart", chart.packed, rendering.question(), [values], rendering.subject, owner, RENDER_DEADLINE
            )
        except LimitExceeded as error:
            raise _over_limit(error, chart) from None
        return dict(said)

    async def read_values_files(
        self, chart: Chart, paths: Sequence[str], ignore_missing: bool, files: Mapping[str, Body] | None, owner: str
    ) -> dict[str, Any]:
        """The values in files of a chart, or in ``files``, later ones winning. Raises: ValuesError, ChartError."""
        names = None if files is None else list(files)
        more = {"paths": list(paths), "ignore_missing": ignore_missing, "files": names}
        blobs = [] if files is None else [files[name] for name in names or ()]
        try:
            said, _ = await self._of_chart("read_values_files", chart.packed, more, blobs, "", owner, DEADLINE)
        except LimitExceeded as error:
            raise _refused(error, f"values files of chart {chart.name}", "read") from None
        return dict(said)

    async def over_defaults(self, values: bytes, defaults: bytes, owner: str) -> dict[str, Any]:
        """Values over default values, both JSON. Raises: ValuesError, ChartError."""
        said, _ = await self._about("values", "merged", "coalesce_values", None, [values, defaults], owner)
        return dict(said)

    async def compose_values(
        self, parts: Sequence[Part], inline: Mapping[str, Any] | None, shown: str, owner: str
    ) -> tuple[bytes, list[str]]:
        """Values out of texts, over others, as JSON; and what of them is secret, and not in what is ``shown``.

        Raises: ValuesError.
        """
        blobs = [json.dumps(inline, ensure_ascii=False), shown, *(part.text for part in parts)]
        asked = [(part.name, *part[2:]) for part in parts]
        pieces = [blob.encode("utf-8", "surrogatepass") for blob in blobs]
        try:
            work = Work(f"{_CALLS}:compose_values", asked, pieces, owner=owner, deadline=DEADLINE)
            secrets, (values,) = await self._pool.ask(work)
        except LimitExceeded as error:
            raise ValuesError(f"the values cannot be read: that {error.message}") from None
        return values, secrets

    async def describe_folder(self, archive: Body, name: str, owner: str) -> ChartHead:
        """What the files of a chart's folder, packed, say of the chart. Raises: ChartError."""
        said, _ = await self._about(name, "read", "describe_folder", None, [archive], owner)
        return _head(said)

    async def describe_archive(self, archive: Body, name: str, owner: str) -> ChartHead:
        """Name and version of a packaged chart. Raises: ChartError."""
        said, _ = await self._about(name, "read", "describe_archive", name, [archive], owner)
        return _head(said)

    async def read_index(self, body: Body, url: str, owner: str) -> tuple[int, bytes]:
        """A repository's index, reduced to a line for each chart (``helm.index``), and how many they are.

        Raises: ChartError.
        """
        work = Work(f"{_CALLS}:read_index", url, [body], owner=owner, deadline=RENDER_DEADLINE)
        try:
            count, (lines,) = await self._pool.ask(work)
        except LimitExceeded as error:
            raise _refused(error, f"the index of {url}", "read") from None
        return count, lines

    async def untar(self, archive: Body, where: str, owner: str) -> tuple[list[FileOfArchive], bytes]:
        """The files of a layer that is no chart (``untar``), and the contents of all of them in this order. Symbolic
        links are passed over, and a line says so.

        Raises: ArtifactError.
        """
        listing, contents, links = await self._unpack("untar", archive, where, owner)
        if links:
            log.warning("symbolic links of an artifact are passed over", artifact=where, links=links)
        return listing, contents

    async def extract(self, archive: Body, where: str, owner: str) -> tuple[list[FileOfArchive], bytes]:
        """The same of an archive among an artifact's files. Raises: ArtifactError."""
        listing, contents, _ = await self._unpack("extract", archive, where, owner)
        return listing, contents

    async def merge_yaml(self, files: Sequence[tuple[str, bytes]], owner: str) -> bytes:
        """Files of values, each with what messages call it, as one: later ones win. Raises: ArtifactError."""
        names, blobs = [name for name, _ in files], [data for _, data in files]
        try:
            work = Work(f"{_CALLS}:merge_yaml", names, blobs, owner=owner, deadline=DEADLINE)
            _, (merged,) = await self._pool.ask(work)
        except LimitExceeded as error:
            raise ArtifactError(f"{names[-1]}: the files cannot be merged: that {error.message}") from None
        return merged

    async def _unpack(self, call: str, archive: Body, where: str, owner: str) -> tuple[list[FileOfArchive], bytes, str]:
        try:
            work = Work(f"{_UNTAR}:{call}", where, [archive], owner=owner, deadline=DEADLINE)
            (listing, links), (contents,) = await self._pool.ask(work)
        except LimitExceeded as error:
            raise ArtifactError(f"{where}: the artifact cannot be unpacked: that {error.message}") from None
        return [FileOfArchive(*item) for item in listing], contents, links

    async def _about(
        self,
        name: str,
        done: str,
        call: str,
        content: Any,
        pieces: Sequence[bytes | Body],
        owner: str,
        subject: str = "",
    ) -> Answer:
        work = Work(f"{_CALLS}:{call}", content, pieces, subject, owner, deadline=DEADLINE)
        try:
            return await self._pool.ask(work)
        except LimitExceeded as error:
            raise _refused(error, name, done) from None

    async def _of_chart(
        self,
        call: str,
        packed: Packed,
        more: Mapping[str, Any],
        blobs: Sequence[bytes | Body],
        subject: str,
        owner: str,
        deadline: float,
    ) -> Answer:
        """Ask about a chart that the worker mostly has; else it is asked again, with the chart."""
        for given in (False, True):
            content, pieces = asked(packed, given, **more)
            work = Work(f"{_CALLS}:{call}", content, [*pieces, *blobs], subject, owner, deadline)
            answer = await self._pool.ask(work)
            if answer[0] != _LACKING:
                break
        return answer


def _over_limit(error: LimitExceeded, chart: Chart) -> RenderError:
    hints = {
        "time": "a template may loop without end",
        "memory": "a template may call itself (include, tpl), or write without end",
        "crash": "a template may call itself (include, tpl), or write without end",
        "size": "a template may write more than it should; a release has to fit into a Secret",
    }
    what = "" if error.limit == "time" and error.message.startswith("was not") else "rendering it "
    message = error.message.replace("was not done", "was not rendered")
    return RenderError(
        f"chart {chart.name}{' ' if not what else ': '}{what}{message}",
        chart=chart.name,
        version=chart.version,
        hint=hints.get(error.limit, ""),
    )


def _refused(error: LimitExceeded, name: str, done: str) -> ChartError:
    return ChartError(f"{name} cannot be {done}: that {error.message}", chart=name)


def _head(said: Any) -> ChartHead:
    name, version, missing = said
    return ChartHead(name, version, tuple(Dependency(*item) for item in missing))
