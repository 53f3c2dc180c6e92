"""What is in the repository and not in the cluster yet, and what it would do there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiohttp import web

from gitsync.web.ui.answers import answer, for_this_page_only

if TYPE_CHECKING:
    from gitsync.live.commits import RecordedCommit
    from gitsync.web.ui.board import Board
    from gitsync.web.ui.questions import Questions

#: Branches of a page.
_BRANCHES: Final = 100
#: Commits among which the one is that is under way.
_NEWEST: Final = 8
#: What somebody may look for, or call a branch, in characters.
_MOST_TEXT: Final = 250


@dataclass(frozen=True, slots=True)
class _Branch:
    """``is_synced``: its newest commit is the one that was synced last."""

    name: str
    commit: str
    is_synced: bool


class PendingPages:
    """Answers GET."""

    def __init__(self, board: Board, questions: Questions) -> None:
        self._board = board
        self._questions = questions

    async def pending(self, request: web.Request) -> web.Response:
        """Whether what is followed has a commit that is not synced yet, and all branches."""
        await self._board.loaded()
        heads = await self._questions.heads()
        text = request.query.get("q", "")[:_MOST_TEXT]
        synced = self._synced()
        at = synced.first.commit if synced is not None else ""
        branches = [
            _Branch(name, commit, commit == at)
            for name, commit in sorted(heads.branches.items())
            if text.lower() in name.lower()
        ]
        return answer(
            "pending.html",
            self._board,
            heads=heads,
            synced=synced,
            is_synced=heads.commit == at,
            is_held=self._board.held is not None and self._board.held.commit == heads.commit,
            is_running=any(it.is_running and it.first.commit == heads.commit for it in self._board.commits[:_NEWEST]),
            branches=branches[:_BRANCHES],
            more=max(len(branches) - _BRANCHES, 0),
            q=text,
            url=self._questions.url,
        )

    async def plan(self, request: web.Request) -> web.Response:
        """What a branch would do to the cluster, or what is followed."""
        for_this_page_only(request)
        branch = request.query.get("branch", "")[:_MOST_TEXT]
        found = await self._questions.plan(branch, _moment(request.query.get("since", "")))
        return answer(
            "plan.html",
            self._board,
            branch=branch,
            changes=found.changes,
            made=found.at,
            now=f"{time.time():.3f}",
        )

    def _synced(self) -> RecordedCommit | None:
        """The commit that the sync of the settings has carried out last."""
        return next((item for item in self._board.commits if item.is_done), None)


def _moment(text: str) -> float:
    """Seconds since the epoch, no later than now; 0 of what is no such number."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return min(found, time.time()) if found == found else 0.0
