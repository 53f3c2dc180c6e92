"""A chart repository's ``index.yaml``: reduced to what choosing and fetching needs. In a worker process only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import orjson

from gitsync import semver
from gitsync.errors import ChartError, ValuesError
from gitsync.helm import native

#: Versions that an index may list; the largest public ones have some 30,000.
MAX_ENTRIES: Final = 200_000
#: What may be left of an index, in bytes.
MAX_REDUCED: Final = 24 << 20

_KEY = re.compile(r"^(?P<key>[^\s#:-][^\s:]*):(?P<rest>[^\n]*)$", re.MULTILINE)
_NAME = re.compile(r"^  [^\s#-][^\n]*:[ \t]*$", re.MULTILINE)
#: Text of an index that is looked at at once, in characters: large enough to be quick, small enough to leave memory
#: and, since the interpreter cannot switch threads meanwhile, the event loop alone.
_BATCH = 256 * 1024

#: A version of a chart: its version, digest (sha256 in hex, "" without one), URLs, time of creation, app version.
Entry = tuple[str, str, tuple[str, ...], str, str]


def read(data: bytes, url: str) -> bytes:
    """A line of JSON for each chart: its name and its entries, the newest version first. Takes seconds for a large
    index and never holds all of it parsed at once. ``url`` is for messages.

    Raises: ChartError when it is no index, or lists more than MAX_ENTRIES versions.
    """
    try:
        text = data.decode("utf-8-sig")
        del data
    except UnicodeDecodeError:
        raise ChartError(f"the index of {url} is no UTF-8 text") from None
    lines: dict[str, bytes] = {}
    count = size = 0
    for name, listed in _listed(text, url):
        entries = [entry for item in listed if (entry := _entry(item)) is not None]
        entries.sort(key=_newest, reverse=True)
        lines[name] = orjson.dumps((name, entries))
        count, size = count + len(entries), size + len(lines[name])
        if count > MAX_ENTRIES or size > MAX_REDUCED:
            raise ChartError(
                f"the index of {url} lists more than {MAX_ENTRIES:,} versions or {MAX_REDUCED >> 20} MiB of them",
                hint="remove old versions from the repository",
            )
    return b"\n".join(lines.values())


def _newest(entry: Entry) -> tuple[Any, str]:
    return (semver.Version.parse(entry[0]).order, entry[3])


def _entry(item: Any) -> Entry | None:
    """None for an entry without a readable version or without a URL, which Helm leaves out too."""
    if not isinstance(item, dict):
        return None
    version, urls = item.get("version"), item.get("urls")
    if not isinstance(version, str) or semver.parsed(version) is None or not isinstance(urls, list):
        return None
    digest = item.get("digest")
    return (
        version,
        digest.removeprefix("sha256:").lower() if isinstance(digest, str) else "",
        tuple(url for url in urls if isinstance(url, str)),
        str(item.get("created") or ""),
        str(item.get("appVersion") or ""),
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
        raise ChartError(f"{url} has no chart index: apiVersion or entries are missing") from None


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
        raise ChartError(f"the index of {url} cannot be read", hint="it is no valid YAML") from None
