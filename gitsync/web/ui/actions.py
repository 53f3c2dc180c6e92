"""What may be done from the page, each asked for twice: reconcile, try again, suspend, resume. It is the user who does
it, with his own rights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from aiohttp import web

from gitsync.api.conditions import condition_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import SERVED_SOURCES, is_generator, is_kustomization, is_release, is_suspended
from gitsync.api.names import SOURCE_GROUP, STALLED, TRUE
from gitsync.errors import GitsyncError
from gitsync.live.requests import git_names, origin_of, resume, suspend
from gitsync.live.requests import request as ask
from gitsync.web.ui import render
from gitsync.web.ui.answers import answer, problem
from gitsync.web.ui.guard import HEADERS, Guard

if TYPE_CHECKING:
    from gitsync.web.ui.board import Board

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Action:
    """One that may be asked for: its word in addresses, its title, and what comes of it."""

    word: str
    title: str
    effect: str


RECONCILE: Final = Action("reconcile", "Reconcile", "The agent looks at it now, instead of at its next interval.")
SUSPEND: Final = Action("suspend", "Suspend", "The agent leaves it alone until it is resumed, whatever commits say.")
RESUME: Final = Action("resume", "Resume", "The agent takes care of it again, and at once.")
RESET: Final = Action("reset", "Try again", "The agent forgets the failures so far, and tries again at once.")
_ALL: Final = {action.word: action for action in (RECONCILE, RESET, SUSPEND, RESUME)}


def actions_for(key: ObjectKey, manifest: Manifest | None) -> Sequence[Action]:
    """What can be done with an object as it is."""
    if manifest is None:
        return ()
    if is_generator(key):
        return (RECONCILE,)
    if not (is_release(key) or is_kustomization(key) or (key.group == SOURCE_GROUP and key.kind in SERVED_SOURCES)):
        return ()
    if is_suspended(manifest):
        return (RESUME,)
    is_stalled = is_release(key) and condition_of(manifest, STALLED).get("status") == TRUE
    return (RESET if is_stalled else RECONCILE, SUSPEND)


def action_named(word: str) -> Action | None:
    """The action of this word."""
    return _ALL.get(word)


class Actions:
    """Answers what is asked for."""

    def __init__(self, board: Board, guard: Guard) -> None:
        self._board = board
        self._guard = guard

    async def confirm(self, request: web.Request) -> web.Response:
        """The page that asks whether it is meant."""
        key, action, manifest = await self._asked(request)
        return answer(
            "confirm.html",
            self._board,
            key=key,
            action=action,
            token=self._guard.token,
            warning=_of_git(action, manifest),
            fields={},
        )

    async def do(self, request: web.Request) -> web.Response:
        """Do it, and go back to the object's page."""
        form = await request.post()
        token = form.get("token", "")
        if not isinstance(token, str) or not self._guard.holds(token):
            return web.Response(status=403, text="the form is not one of this page\n", headers=HEADERS)
        key, action, _ = await self._asked(request)
        try:
            # What was asked for is done, whether or not its browser stays for the answer.
            await asyncio.shield(self._act(action, key))
        except GitsyncError as error:
            return problem(self._board, error)
        log.info("asked for on the page", action=action.word, object=str(key))
        return web.Response(status=303, headers={**HEADERS, "Location": f"{render.path_of(key)}?done={action.word}"})

    async def _act(self, action: Action, key: ObjectKey) -> None:
        """Raises: NotFound, Forbidden, ClusterUnavailable."""
        if action is SUSPEND:
            await suspend(self._board.cluster, key)
        elif action is RESUME:
            await resume(self._board.cluster, key)
        else:
            await ask(self._board.cluster, key, reset=action is RESET)

    async def _asked(self, request: web.Request) -> tuple[ObjectKey, Action, Manifest]:
        """What is asked for, of an object that is there and can be asked for that. Raises: HTTPNotFound, ApiError."""
        key = render.key_at(*(request.match_info[name] for name in ("group", "kind", "namespace", "name")))
        action = _ALL.get(request.match_info["action"])
        manifest = await self._board.cluster.find(key) if action is not None else None
        if action is None or manifest is None or action not in actions_for(key, manifest):
            raise web.HTTPNotFound
        return key, action, manifest


def _of_git(action: Action, manifest: Manifest) -> str:
    """What Git will make of it, as commands say it; "" for nothing."""
    origin = origin_of(manifest)
    if action in (RECONCILE, RESET) or not origin:
        return ""
    if git_names(manifest, "spec", "suspend"):
        return f"Git says something about spec.suspend and will put that back: change {origin} instead."
    if action is RESUME:
        return ""
    return f"It comes from {origin}: commits still reach it, and take effect once it is resumed."
