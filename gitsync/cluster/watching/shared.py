"""Watches that are shared: whoever wants the same objects reads the same store, filled by one stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.cluster.discovery import Discovery
from gitsync.cluster.timings import Timings
from gitsync.cluster.transport import Transport
from gitsync.cluster.watching.stream import Wanted, WatchStream
from gitsync.cluster.watching.watchcache import Callback
from gitsync.defects import outlive
from gitsync.errors import ClusterUnavailable, GitsyncError


@dataclass(eq=False)
class _Running:
    """A stream, the task that runs it, how many use it, and the timer that ends it when nobody does."""

    stream: WatchStream
    task: asyncio.Task[None]
    users: int = 0
    linger: asyncio.TimerHandle | None = field(default=None, repr=False)


class Watches:
    """All streams of a cluster."""

    def __init__(self, transport: Transport, discovery: Discovery, timings: Timings) -> None:
        self._transport = transport
        self._discovery = discovery
        self._timings = timings
        self._running: dict[Wanted, _Running] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    def acquire(self, wanted: Wanted) -> WatchStream:
        if self._closed:
            raise ClusterUnavailable("the connection to the cluster has been closed")
        running = self._running.get(wanted)
        if running is None:
            stream = WatchStream(wanted, self._transport, self._discovery, self._timings)
            name = f"watch {wanted}"
            task = asyncio.get_running_loop().create_task(outlive(name, stream.run), name=name)
            task.add_done_callback(self._ending.discard)
            running = self._running[wanted] = _Running(stream, task)
        if running.linger is not None:
            running.linger.cancel()
            running.linger = None
        running.users += 1
        return running.stream

    def release(self, wanted: Wanted, stream: WatchStream) -> None:
        running = self._running.get(wanted)
        if running is None or running.stream is not stream:
            return  # it has ended by itself, or with close()
        running.users -= 1
        if running.users:
            return
        if stream.synced:
            running.linger = asyncio.get_running_loop().call_later(self._timings.linger, self._end, wanted)
        else:
            self._end(wanted)  # it never worked: the next user should have a fresh try, not its old error

    async def close(self) -> None:
        """Ends all streams; who waits for one hears ClusterUnavailable."""
        self._closed = True
        for wanted in list(self._running):
            self._end(wanted)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, wanted: Wanted) -> None:
        running = self._running.pop(wanted)
        if running.linger is not None:
            running.linger.cancel()
        running.stream.fail(ClusterUnavailable(f"the watch of {wanted} has ended"))
        running.task.cancel()
        self._ending.add(running.task)


class Informer:
    """A live view of some objects, used as ``async with cluster.watch(...) as watch:``; entering waits until it is
    complete. What it returns belongs to all who share it: never change it.

    Raises on entering: Forbidden and other ApiErrors as the API server says; ClusterUnavailable when there is no answer
    in time. A kind that is not served is no error: nothing is there until it is.
    """

    def __init__(self, watches: Watches, wanted: Wanted) -> None:
        self._watches = watches
        self._wanted = wanted
        self._streams: list[WatchStream] = []
        self._subscriptions: set[Callable[[], None]] = set()

    async def __aenter__(self) -> Informer:
        stream = self._watches.acquire(self._wanted)
        try:
            await stream.wait_synced()
        except BaseException:
            self._watches.release(self._wanted, stream)
            raise
        self._streams.append(stream)
        return self

    async def __aexit__(self, *_: object) -> None:
        stream = self._streams.pop()
        if not self._streams:
            for unsubscribe in list(self._subscriptions):
                unsubscribe()
        self._watches.release(self._wanted, stream)

    def get(self, key: ObjectKey) -> Manifest | None:
        """The object as the watch has seen it last, None when it is not there. Asks nobody: it may be behind the API
        server, by more where ``error`` is set."""
        return self._stream.store.objects.get(key)

    def items(self) -> list[tuple[ObjectKey, Manifest]]:
        """All objects, as the watch has seen them last, in no order. The list is the caller's, they are shared."""
        return list(self._stream.store.objects.items())

    @property
    def error(self) -> GitsyncError | None:
        """Why the view may be out of date at the moment; None while the stream is well."""
        return self._stream.error

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Has ``callback`` called on the loop for each change from now on, in order, the view already updated. It must
        neither block nor raise. Ends with the function returned, or when the watch is left.
        """
        unsubscribe = self._stream.store.subscribe(callback)
        self._subscriptions.add(unsubscribe)

        def end() -> None:
            self._subscriptions.discard(unsubscribe)
            unsubscribe()

        return end

    @property
    def _stream(self) -> WatchStream:
        if not self._streams:
            raise RuntimeError("a watch is to be entered (async with) before it is used")
        return self._streams[-1]
