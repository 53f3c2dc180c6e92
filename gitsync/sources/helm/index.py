"""A chart repository's ``index.yaml``: reduced to what choosing and fetching a version needs."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from yarl import URL

from gitsync import semver
from gitsync.charts import native
from gitsync.errors import ChartError, ChartNotFound, ValuesError
from gitsync.sources.helm.http import parse_url
from gitsync.sources.helm.model import IndexEntry, redacted

#: Flux's bound (source-controller), in bytes.
MAX_INDEX = 50 * 1024 * 1024

_KEY = re.compile(r"^(?P<key>[^\s#:-][^\s:]*):(?P<rest>[^\n]*)$", re.MULTILINE)
_NAME = re.compile(r"^  [^\s#-][^\n]*:[ \t]*$", re.MULTILINE)
#: Text of an index that is looked at at once, in characters: large enough to be quick, small enough to leave memory
#: and, since the interpreter cannot switch threads meanwhile, the event loop alone.
_BATCH = 256 * 1024


@dataclass(frozen=True, slots=True)
class Index:
    """An index and the validators it came with. ``charts`` has the newest version first."""

    url: str
    revision: str
    charts: Mapping[str, tuple[IndexEntry, ...]] = field(repr=False)
    etag: str = ""
    modified: str = ""

    @property
    def public_url(self) -> str:
        """Where the index was read, without credentials."""
        return redacted(index_url(self.url))

    def choose(self, chart: str, version: str) -> IndexEntry:
        """The entry for a version or range of versions, as Helm chooses it ("" is ``*``).

        Raises: ChartNotFound.
        """
        entries = self.charts.get(chart, ())
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
        """Absolute URLs; a relative one is below the repository's URL and takes over its query, as in Helm."""
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
    """Where a repository keeps its index; the query string of the repository's URL is kept."""
    base = parse_url(url)
    return str(base.with_path(base.raw_path.rstrip("/") + "/index.yaml", encoded=True, keep_query=True))


def parse(data: bytearray, url: str, etag: str = "", modified: str = "") -> Index:
    """Reads the file and empties ``data``. Takes seconds for a large one and never holds all of it parsed at once.

    Raises: ChartError when it is no index.
    """
    revision = "sha256:" + hashlib.sha256(data).hexdigest()
    try:
        text = data.decode("utf-8-sig")
        data.clear()
    except UnicodeDecodeError:
        raise ChartError(f"the index of {redacted(url)} is no UTF-8 text") from None
    charts: dict[str, tuple[IndexEntry, ...]] = {}
    for name, listed in _listed(text, url):
        entries = [entry for item in listed if (entry := _entry(item)) is not None]
        entries.sort(key=_newest, reverse=True)
        charts[name] = tuple(entries)
    return Index(url, revision, charts, etag, modified)


def _newest(entry: IndexEntry) -> tuple[Any, str]:
    return (semver.Version.parse(entry.version).order, entry.created)


def _entry(item: Any) -> IndexEntry | None:
    """None for an entry without a readable version or without a URL, which Helm leaves out too."""
    if not isinstance(item, dict):
        return None
    version, urls = item.get("version"), item.get("urls")
    if not isinstance(version, str) or semver.parsed(version) is None or not isinstance(urls, list):
        return None
    digest = item.get("digest")
    return IndexEntry(
        version=version,
        digest=digest.removeprefix("sha256:").lower() if isinstance(digest, str) else "",
        urls=tuple(url for url in urls if isinstance(url, str)),
        created=str(item.get("created") or ""),
        app_version=sys.intern(str(item.get("appVersion") or "")),
    )


def _listed(text: str, url: str) -> Iterator[tuple[str, list[Any]]]:
    """(chart, its entries as listed), read batch by batch where the file has the shape Helm writes."""
    try:
        found = [pair for piece in _pieces(text) for pair in _reduced(_load(piece, url))]
    except (ChartError, _NotAnIndex):
        pass  # not the shape that Helm writes: read it as a whole, which also gives the true error
    else:
        yield from found
        return
    try:
        document = _load(text, url)
        if "apiVersion" not in document:
            raise _NotAnIndex
        yield from _reduced(document.get("entries") or {})
    except _NotAnIndex:
        raise ChartError(f"{redacted(url)} has no chart index: apiVersion or entries are missing") from None


class _NotAnIndex(Exception):
    pass


_KEPT = ("version", "digest", "urls", "created", "appVersion")


def _reduced(entries: Any) -> list[tuple[str, list[Any]]]:
    if not isinstance(entries, dict):
        raise _NotAnIndex
    result: list[tuple[str, list[Any]]] = []
    for name, listed in entries.items():
        if not isinstance(listed, list):
            if listed is None:
                continue
            raise _NotAnIndex
        result.append((name, [{k: item.get(k) for k in _KEPT} for item in listed if isinstance(item, dict)]))
    return result


def _pieces(text: str) -> Iterator[str]:
    """The text of ``entries``, cut between charts.

    Raises: _NotAnIndex when it is not laid out as Helm writes it.
    """
    begin, end = _entries_span(text)
    starts = (match.start() for window in _windows(text, begin, end) for match in _NAME.finditer(text, *window))
    piece = next(starts, -1)
    if piece < 0 or text[begin:piece].strip():
        raise _NotAnIndex
    for start in starts:
        if start - piece >= _BATCH:
            yield text[piece:start]
            piece = start
    yield text[piece:end]


def _entries_span(text: str) -> tuple[int, int]:
    begin, end, version = -1, len(text), False
    for window in _windows(text, 0, len(text)):
        for match in _KEY.finditer(text, *window):
            version = version or match["key"] == "apiVersion"
            if begin >= 0:
                end = min(end, match.start())
            elif match["key"] == "entries" and not match["rest"].strip():
                begin = match.end()
    if begin < 0 or not version:
        raise _NotAnIndex
    return begin, end


def _windows(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Spans of whole lines, each short enough for one search."""
    while begin < end:
        line_end = text.find("\n", begin + _BATCH, end)
        window_end = end if line_end < 0 else line_end + 1
        yield begin, window_end
        begin = window_end


def _load(text: str, url: str) -> dict[str, Any]:
    try:
        if text.lstrip().startswith("{"):
            document = json.loads(text)
            return document if isinstance(document, dict) else {}
        return native.load_yaml(text)
    except (ValuesError, ValueError, RecursionError):
        raise ChartError(f"the index of {redacted(url)} cannot be read", hint="it is no valid YAML") from None
