"""The pages that confirm a commit which is held because it would delete much: as the user, with his own rights."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from gitsync.errors import GitsyncError
from gitsync.live.requests import confirm_commit
from gitsync.web.ui.answers import answer, problem
from gitsync.web.ui.guard import HEADERS, Guard

if TYPE_CHECKING:
    from gitsync.sync.storage.history import JournalEntry
    from gitsync.web.ui.board import Board

log = structlog.get_logger(__name__)

_NOT_HELD: Final = "This commit is not held (any more)."


class HeldPages:
    """Answers GET and POST for the commit that is held."""

    def __init__(self, board: Board, guard: Guard) -> None:
        self._board = board
        self._guard = guard

    async def confirm(self, request: web.Request) -> web.Response:
        """The page that asks whether it is meant."""
        held = await self._asked(request)
        return answer("confirm_commit.html", self._board, entry=held, token=self._guard.token)

    async def do(self, request: web.Request) -> web.Response:
        """Confirm it, and go back to the commit's page, which tells what comes of it."""
        form = await request.post()
        token = form.get("token", "")
        if not isinstance(token, str) or not self._guard.holds(token):
            return web.Response(status=403, text="the form is not one of this page\n", headers=HEADERS)
        held = await self._asked(request)
        key = self._board.inventory_key
        try:
            await asyncio.shield(confirm_commit(self._board.cluster, key, held.commit))
        except GitsyncError as error:
            return problem(self._board, error)
        self._board.confirmed = held.commit
        self._board.tell()
        log.info("asked for on the page", action="confirm", commit=held.commit[:7], object=str(key))
        return web.Response(status=303, headers={**HEADERS, "Location": f"/commits/{held.commit}"})

    async def _asked(self, request: web.Request) -> JournalEntry:
        """Raises: HTTPNotFound when this very commit is not held."""
        await self._board.loaded()
        held = self._board.held
        if held is None or held.commit != request.match_info["commit"]:
            raise web.HTTPNotFound(text=_NOT_HELD)
        return held
