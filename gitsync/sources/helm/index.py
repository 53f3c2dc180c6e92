"""A chart repository's index as a worker process has reduced it (``helm.index``), and choosing from it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import orjson
from yarl import URL

from gitsync import semver
from gitsync.errors import ChartNotFound
from gitsync.http import parse_url, redacted
from gitsync.sources.helm.http import chart_errors
from gitsync.sources.helm.spec import IndexEntry
from gitsync.spool import Body

#: Flux's bound (source-controller), in bytes.
MAX_INDEX = 50 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Index:
    """An index and the validators that it came with. ``lines`` has a line for each of its ``count`` charts, parsed
    when that chart is asked for: a large index would take a hundred MiB otherwise, and there may be many."""

    url: str
    revision: str
    lines: Body = field(repr=False)
    count: int
    etag: str = ""
    modified: str = ""

    @property
    def public_url(self) -> str:
        """Where the index was read, without credentials."""
        return redacted(index_url(self.url))

    def entries(self, chart: str) -> tuple[IndexEntry, ...]:
        """The versions of a chart, the newest first; none for a chart that the index does not have. Blocks. Raises:
        OSError."""
        begin = b"[" + orjson.dumps(chart) + b","
        line = next((line for line in lines_of(self.lines) if line.startswith(begin)), None)
        if line is None:
            return ()
        return tuple(IndexEntry(v, d, tuple(u), c, sys.intern(a)) for v, d, u, c, a in orjson.loads(line)[1])

    def choose(self, entries: Sequence[IndexEntry], chart: str, version: str) -> IndexEntry:
        """Of a chart's ``entries`` the one that Helm chooses for a version or a range of versions ("" is ``*``).

        Raises: ChartNotFound.
        """
        where = f"in {redacted(self.url)}"
        if not entries:
            raise ChartNotFound(f"no chart {chart!r} {where}", chart=chart, version=version)
        try:
            chosen = semver.choose((entry.version for entry in entries), version)
        except semver.BadVersion as error:
            raise ChartNotFound(str(error), chart=chart, version=version) from None
        if chosen is None:
            hint = f"the newest is {entries[0].version}"
            raise ChartNotFound(f"no version {version!r} of chart {chart!r} {where}", chart=chart, hint=hint)
        return next(entry for entry in entries if entry.version == chosen)

    def archive_urls(self, entry: IndexEntry) -> list[str]:
        """The URLs of a chart's archive, absolute: a relative one is below the repository's URL and takes over its
        query, as in Helm."""
        base = URL(self.url, encoded=True)
        base = base.with_path(base.raw_path.rstrip("/") + "/", encoded=True, keep_query=True)
        result = []
        for url in entry.urls:
            if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", url):
                result.append(url)
            else:
                joined = base.join(URL(url, encoded=True))
                query = base.raw_query_string
                result.append(f"{joined.with_query(None)}?{query}" if query else str(joined))
        return result


def index_url(url: str) -> str:
    """Where a repository keeps its index; the query string of the repository's URL is kept. Raises: ChartError."""
    with chart_errors():
        base = parse_url(url)
    return str(base.with_path(base.raw_path.rstrip("/") + "/index.yaml", encoded=True, keep_query=True))


def lines_of(body: Body) -> Iterator[bytes]:
    """The lines of a text, without their ends. Blocks. Raises: OSError."""
    rest = b""
    for piece in body.pieces():
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest
