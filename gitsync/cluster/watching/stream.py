"""One watch: lists, follows, and lists again when it must."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import structlog

from gitsync.api.identity import Manifest
from gitsync.backoff import Backoff
from gitsync.budget import Loan, Spent
from gitsync.cluster.bounds import OWN, Bounds
from gitsync.cluster.discovery import Discovery
from gitsync.cluster.listing import Keep, Selection, read_list
from gitsync.cluster.shape import as_element
from gitsync.cluster.status import error_of
from gitsync.cluster.timings import Timings
from gitsync.cluster.transport import JSON, Request, Transport, decoded
from gitsync.cluster.watching.crowd import Crowd
from gitsync.cluster.watching.watchcache import WatchCache
from gitsync.errors import ClusterUnavailable, GitsyncError, Gone, KindUnknown, NotFound
from gitsync.text import whole_number
from gitsync.weight import json_weight, object_weight

log = structlog.get_logger(__name__)

METADATA = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
#: A stream that lived this long (seconds) was a good one: what ended it is not held against the next.
_GOOD = 5.0
#: The groups whose objects are read as a whole, and kept.
_OURS = ".fluxcd.io"
#: How deep in an event the fields of its object are.
_EVENT_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a watch is about; equal ones share a stream."""

    group: str
    kind: str
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    keep: Keep | None = None
    metadata_only: bool = False

    def __str__(self) -> str:
        return f"{self.kind} in {self.namespace}" if self.namespace else self.kind


class Lines:
    """Puts the chunks of a connection together and cuts them into lines."""

    def __init__(self, bounds: Bounds = OWN) -> None:
        self._bounds = bounds
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes. Raises: ClusterUnavailable for one too long or too heavy."""
        *ends, rest = chunk.split(b"\n")
        if ends:
            ends[0] = b"".join((*self._parts, ends[0]))
            self._parts.clear()
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        longest, heaviest = self._bounds.event, self._bounds.weight
        if self._size > longest:
            raise ClusterUnavailable(f"the API server sent an event of more than {longest >> 20} MiB")
        if any(json_weight(line) > heaviest for line in ends):
            limit = heaviest >> 20
            raise ClusterUnavailable(f"the API server sent an event that would take more than {limit} MiB of memory")
        return [line for line in ends if line]


class WatchStream:
    """Keeps ``store`` current until ``run`` is cancelled, whatever happens to connection, API server or kind.

    A kind that is not served is an empty store. ``error`` is what it last met, None while all is well.
    """

    def __init__(self, wanted: Wanted, transport: Transport, discovery: Discovery, timings: Timings) -> None:
        self._wanted = wanted
        self._transport = transport
        self._discovery = discovery
        self._timings = timings
        self.store = WatchCache(wanted.group, wanted.kind)
        #: The memory of what is in the store, and of all events since the last list.
        self._loan = Loan(transport.share)
        self._crowd = Crowd(wanted.kind) if wanted.group.endswith(_OURS) and not self._loan.counts else None
        self.synced = False
        self.error: GitsyncError | None = None
        self._news = asyncio.Event()
        self._version = ""
        self._opened = 0.0
        # Anything up to twice the pause: many watches that ended together do not begin together.
        self._failures: Backoff[Wanted] = Backoff(timings.backoff, most=timings.backoff_max / 2, jitter=1)
        self._absences: Backoff[Wanted] = Backoff(timings.absent, most=timings.absent_max, jitter=0)
        self._ended = False

    async def run(self) -> None:
        """Lists and follows for ever. Each round of failures starts with short pauses, which grow. After a defect of
        ours, which is raised, it may be called again."""
        self._version = ""
        self._failures.reset(self._wanted)
        while True:
            try:
                await self._cycle()
                self._failures.reset(self._wanted)
            except GitsyncError as error:
                await self._pause(error)
            except Exception as error:
                self._announce(GitsyncError(f"the watch of {self._wanted} failed: {type(error).__name__}"))
                raise

    async def wait_synced(self) -> None:
        """Until the store holds what the API server has.

        Raises: ApiError (Forbidden, ...) as soon as one is met, ClusterUnavailable after ``timings.sync`` seconds.
        """
        try:
            async with asyncio.timeout(self._timings.sync):
                while not self.synced:
                    if self.error is not None and (self._ended or not isinstance(self.error, ClusterUnavailable)):
                        raise self.error
                    await self._news.wait()
        except TimeoutError:
            raise self.error or ClusterUnavailable(f"cannot watch {self._wanted}: no answer in time") from None

    def fail(self, error: GitsyncError) -> None:
        """Ends the waits of ``wait_synced`` with this error: nothing will come."""
        self._ended = True
        self.synced = False
        self._loan.close()
        self._announce(error)

    async def _pause(self, error: GitsyncError) -> None:
        """After a failure, which those who wait for the store are told of."""
        pause = self._failures.next(self._wanted)
        attempt = self._failures.tries(self._wanted)
        log.debug("watch interrupted", watch=str(self._wanted), error=error.message, attempt=attempt)
        self._announce(error)
        await asyncio.sleep(pause)

    def _announce(self, error: GitsyncError | None) -> None:
        self.error = error
        self._news.set()
        self._news = asyncio.Event()

    async def _cycle(self) -> None:
        """Lists if need be, and follows until something ends the stream. The error that ended one which had lived for
        long is not raised."""
        self._opened = math.inf
        resource = None
        try:
            wanted = self._wanted
            resource = await self._discovery.resource(wanted.group, wanted.kind)
            selection = Selection(resource, wanted.namespace, wanted.labels, wanted.fields)
            if not self._version:
                await self._list(selection)
            await self._follow(selection)
        except (KindUnknown, NotFound):
            if resource is not None:
                self._discovery.forget()  # it named a path that is not served any more
            await self._absent()
        except (Gone, ClusterUnavailable) as error:
            if isinstance(error, Gone):
                self._version = ""
            if time.monotonic() - self._opened < _GOOD:
                raise
            log.debug("watch ended", watch=str(self._wanted), error=error.message)

    async def _list(self, selection: Selection) -> None:
        loan = Loan(self._transport.share)
        if self._crowd is not None:
            self._crowd.clear()
        try:
            found, version = await read_list(
                self._transport, selection, keep=self._trimmed, metadata_only=self._wanted.metadata_only, loan=loan
            )
        except BaseException:
            loan.close()
            raise
        self._loan.close()
        self._loan = loan
        self._version = version
        self._absences.reset(self._wanted)
        self._take(found)

    def _take(self, found: list[Manifest]) -> None:
        self.store.replace(found)
        self.synced = True
        self._announce(None)

    async def _absent(self) -> None:
        """The kind is not served: nothing is there. Looks again at growing intervals, and when discovery was read."""
        self._version = ""
        self._take([])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._absences.next(self._wanted)):
                while not self._discovery.known(self._wanted.group, self._wanted.kind):
                    await self._discovery.read_again.wait()

    async def _follow(self, selection: Selection) -> None:
        seconds = int(random.uniform(self._timings.watch_min, self._timings.watch_max))  # noqa: S311  # spreads load
        request = Request(
            "GET",
            selection.path,
            selection.subject("watch"),
            query=(
                *selection.query,
                ("watch", "1"),
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", str(seconds)),
                ("resourceVersion", self._version),
            ),
            accept=METADATA if self._wanted.metadata_only else JSON,
        )
        async with self._transport.stream(request) as content:
            self._opened = time.monotonic()
            self._announce(None)
            heard = await self._read(selection, content)
        if not heard and time.monotonic() - self._opened < 1.0:
            raise ClusterUnavailable(f"cannot watch {self._wanted}: the API server ends it at once")

    async def _read(self, selection: Selection, content: aiohttp.StreamReader) -> bool:
        """Handles what comes until the stream ends, and tells whether anything came.

        Raises: TimeoutError when the stream has gone silent. One that never brought a bookmark may just have none
        (Events; a kind with no object yet): that is the end of it, too, but no reason to distrust other connections.
        """
        silence = self._timings.silence
        clock = asyncio.get_running_loop().time
        lines = Lines(self._transport.bounds)
        heard: set[str] = set()
        try:
            async with asyncio.timeout(silence) as alarm:
                async for chunk in content.iter_any():
                    alarm.reschedule(clock() + silence)
                    self._transport.heard()
                    heard.update(self._handle(selection, line) for line in lines.feed(chunk))
        except TimeoutError:
            if "BOOKMARK" in heard:
                raise
            log.debug("watch silent", watch=str(self._wanted))
        return bool(heard)

    def _handle(self, selection: Selection, line: bytes) -> str:
        """Takes over one event; gives its type."""
        event_type, manifest, version = _parse(selection, line)
        if _earlier(version, self._version):
            # The API server went back in time (restored from a backup): what came in between must be found out.
            raise Gone(
                f"the API server's data is older than what it sent before ({selection.resource.kind})", status=410
            )
        self._version = version
        if event_type == "BOOKMARK":
            return event_type
        manifest["apiVersion"], manifest["kind"] = selection.resource.api_version, selection.resource.kind
        manifest = self._trimmed(manifest)
        if event_type == "DELETED":
            if self._crowd is not None:
                self._crowd.left(manifest)
            self.store.drop(manifest)
        else:
            self._count(manifest)
            self.store.put(manifest)
        return event_type

    def _count(self, manifest: Manifest) -> None:
        """Counts the memory of an event. Raises: Gone when that is too much with all events before: the objects have to
        be listed anew to know what they take now."""
        if self._loan.counts:
            try:
                self._loan.take(object_weight(manifest))
            except Spent as spent:
                raise Gone(f"too much has changed: {spent}", status=410) from None

    def _trimmed(self, manifest: Manifest) -> Manifest:
        manifest["metadata"].pop("managedFields", None)
        if self._wanted.metadata_only:  # whatever a server of somebody else's has sent
            manifest = {name: manifest[name] for name in ("apiVersion", "kind", "metadata") if name in manifest}
        if self._crowd is not None:
            manifest = self._crowd.taken(manifest)
        return manifest if self._wanted.keep is None else self._wanted.keep(manifest)


def _parse(selection: Selection, line: bytes) -> tuple[str, Manifest, str]:
    """Type, object and resourceVersion of an event. Raises: what an ERROR event says."""
    try:
        event: Any = decoded(line, _EVENT_LEVEL)
        event_type, manifest = event["type"], event["object"]
        if event_type != "ERROR":
            if event_type != "BOOKMARK":
                as_element(manifest, selection.subject("watch"))
            return event_type, manifest, str(manifest["metadata"]["resourceVersion"])
        code = int(manifest.get("code") or 500)
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        raise ClusterUnavailable(f"cannot watch {selection.resource.kind}: an event is not understood") from error
    raise error_of(selection.subject("watch"), code, manifest)


def _earlier(version: str, known: str) -> bool:
    one, other = whole_number(version), whole_number(known)
    return one is not None and other is not None and one < other
