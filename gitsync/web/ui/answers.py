"""What all answers have in common, and those to what went wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from gitsync.defects import tell_defect
from gitsync.errors import Forbidden, GitsyncError
from gitsync.web.ui import render
from gitsync.web.ui.guard import HEADERS

if TYPE_CHECKING:
    from gitsync.web.ui.board import Board


def answer(template: str, board: Board, status: int = 200, **shown: Any) -> web.Response:
    """A page, with what all pages have."""
    troubles, server = list(board.troubles()), board.cluster.address
    about = {"version": board.version, "troubles": troubles, "server": server, "asks": board.asks, "held": board.held}
    about["is_confirmed"] = board.held is not None and board.held.commit == board.confirmed
    text = render.page(template, **about, **shown)
    return web.Response(text=text, content_type="text/html", status=status, headers=HEADERS)


def for_this_page_only(request: web.Request) -> None:
    """What costs more than a look is not worked on for a link of another site. Raises: HTTPForbidden."""
    if request.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
        raise web.HTTPForbidden


def problem(board: Board, error: GitsyncError, status: int = 502) -> web.Response:
    """A page that says what went wrong, and what to do about it."""
    code = 403 if isinstance(error, Forbidden) else status
    return answer("problem.html", board, code, message=error.message, hint=error.hint)


def trouble(board: Board) -> Any:
    """A middleware: pages for what is not there, and for what went wrong."""

    @web.middleware
    async def middleware(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPNotFound as error:
            text = error.text if error.text and error.text.endswith(".") else "There is no such page."
            return answer("problem.html", board, 404, message=text, hint="")
        except web.HTTPException as error:
            return web.Response(status=error.status, text=f"{error.reason}\n", headers=HEADERS)
        except GitsyncError as error:
            return problem(board, error)
        except Exception as error:
            tell_defect("page", error, path=request.path)
            return answer("problem.html", board, 500, message="A defect of gitsync; its output says more.", hint="")

    return middleware
