"""The page served: on this machine's loopback, or by the agent to readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from gitsync.errors import SettingsError
from gitsync.release.storage.recordmemory import RecordMemory
from gitsync.web.ui.actions import Actions
from gitsync.web.ui.answers import trouble
from gitsync.web.ui.board import Board
from gitsync.web.ui.connections import Connections
from gitsync.web.ui.guard import HEADERS, Guard, Readers
from gitsync.web.ui.looks import Looks
from gitsync.web.ui.pages.commits import CommitPages
from gitsync.web.ui.pages.held import HeldPages
from gitsync.web.ui.pages.objects import Handlers
from gitsync.web.ui.pages.pending import PendingPages
from gitsync.web.ui.pages.releases import ReleasePages
from gitsync.web.ui.questions import Questions
from gitsync.web.ui.rollbacks import Rollbacks
from gitsync.web.ui.stream import Stream

if TYPE_CHECKING:
    from gitsync.cluster import Cluster
    from gitsync.web.ui.questions import Repository

log = structlog.get_logger(__name__)

_LOOPBACK: Final = "127.0.0.1"
_STATIC = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_OBJECT = "/object/{group}/{kind}/{namespace}/{name}"
#: A form has a token and no more.
_MAX_BODY = 16 * 1024
_GRACE = 1.0
#: Seconds that a connection is kept on which nothing is asked for.
_IDLE = 30.0


class Page:
    """Serves what ``cluster`` has, as its user sees it. ``journal`` is namespace and name of the sync whose commits are
    shown; ``namespace`` is the only one that is looked at, "" for all. With ``readers``, nothing can be done on it, and
    they decide who may look. ``url`` is where the repository is, ``repository`` reads it as the user may."""

    def __init__(
        self,
        cluster: Cluster,
        journal: tuple[str, str],
        namespace: str = "",
        *,
        readers: Readers | None = None,
        url: str = "",
        repository: Repository | None = None,
    ) -> None:
        self.board = Board(cluster, namespace, journal, asks=repository is not None)
        self.stream = Stream(self.board)
        self._looks = Looks(self.board)
        self._memory = RecordMemory()
        self._rollbacks = Rollbacks(self.board, self._memory)
        self._guard = readers or Guard()
        self._connections = Connections()
        self._questions = Questions(repository) if repository is not None else None
        self._url = repository.url if repository is not None else url

    @asynccontextmanager
    async def serving(
        self, port: int = 0, *, address: str | None = _LOOPBACK, setting: str = "--port"
    ) -> AsyncIterator[str]:
        """Serve at a port, 0 for any that is free, of an address of this machine, None for all of them; gives the
        address to open. ``setting`` is what the port is set by. Raises: SettingsError.
        """
        # With handlers cancelled when browsers go away, what nobody waits for any more is not worked on.
        runner = web.AppRunner(
            self._application(),
            access_log=None,
            shutdown_timeout=_GRACE,
            keepalive_timeout=_IDLE,
            handler_cancellation=True,
        )
        async with self.board.running():
            await runner.setup()
            try:
                server = await self._listening(runner, address, port, setting)
                try:
                    yield self._guard.listen(server.sockets[0].getsockname()[1])
                finally:
                    server.close()
            finally:
                self.stream.close()
                await self._rollbacks.close()
                await self._looks.close()
                if self._questions is not None:
                    await self._questions.close()
                await runner.cleanup()

    async def _listening(self, runner: web.AppRunner, address: str | None, port: int, setting: str) -> asyncio.Server:
        """Raises: SettingsError."""
        assert runner.server is not None
        try:
            return await self._connections.listen(runner.server, address, port)
        except OSError as error:
            raise SettingsError(
                f"port {port} {f'of {address}' if address else 'for the page'} cannot be had: {error.strerror}",
                setting=setting,
                hint="another program has it" + ("; --port 0 takes one that is free" if address else ""),
            ) from error

    def _application(self) -> web.Application:
        middlewares = [self._connections.middleware, self._guard.middleware, trouble(self.board)]
        application = web.Application(middlewares=middlewares, client_max_size=_MAX_BODY)
        commits = CommitPages(self.board, self._url, self._questions, may_act=isinstance(self._guard, Guard))
        pages = Handlers(self.board, self._looks, may_act=isinstance(self._guard, Guard))
        application.add_routes(
            [
                web.get("/", pages.overview),
                web.get("/releases", pages.releases),
                web.get("/kustomizations", pages.kustomizations),
                web.get("/sources", pages.sources),
                web.get("/search", pages.search),
                web.get("/graph", pages.graph),
                web.get("/commits", commits.commits),
                web.get("/commits/{commit}", commits.commit),
                web.get("/commits/{commit}/difference", commits.difference),
                web.get(_OBJECT, pages.object),
                web.get("/changes", self.stream.handle),
                web.get("/static/{file}", _static),
            ]
        )
        if self._questions is not None:
            pending = PendingPages(self.board, self._questions)
            application.add_routes([web.get("/pending", pending.pending), web.get("/pending/plan", pending.plan)])
        if isinstance(self._guard, Guard):
            actions, path = Actions(self.board, self._guard), f"{_OBJECT}/{{action}}"
            held = HeldPages(self.board, self._guard)
            releases = ReleasePages(self.board, self._guard, self._memory, self._rollbacks)
            application.add_routes(
                [
                    web.get("/commits/{commit}/confirm", held.confirm),
                    web.post("/commits/{commit}/confirm", held.do),
                    web.get(f"{_OBJECT}/revisions", releases.revisions),
                    web.get(f"{_OBJECT}/values", releases.values),
                    web.get(f"{_OBJECT}/rollback", releases.confirm),
                    web.post(f"{_OBJECT}/rollback", releases.roll_back),
                    web.get(path, actions.confirm),
                    web.post(path, actions.do),
                ]
            )
        return application


async def _static(request: web.Request) -> web.StreamResponse:
    """The files that pages are styled and made live with; they are part of the package."""
    name = request.match_info["file"]
    if name not in {path.name for path in _STATIC.iterdir()}:
        raise web.HTTPNotFound
    headers = {**HEADERS, "Cache-Control": "no-cache", "Content-Type": f"{_TYPES[Path(name).suffix]}; charset=utf-8"}
    return web.FileResponse(_STATIC / name, headers=headers)
