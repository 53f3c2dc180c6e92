"""The pages of commits: what they did, how that went, and what they changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiohttp import web

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_own_kind
from gitsync.api.names import KUSTOMIZATION, KUSTOMIZE_GROUP
from gitsync.live.commits import RecordedCommit
from gitsync.live.forge import commit_page
from gitsync.live.requests import confirmation_command
from gitsync.release.dependencies.states import commit_of
from gitsync.web.ui import views
from gitsync.web.ui.answers import answer, for_this_page_only
from gitsync.web.ui.waterfall import waterfall

if TYPE_CHECKING:
    from gitsync.live.known import Known
    from gitsync.web.ui.board import Board
    from gitsync.web.ui.questions import Questions

#: Commits on a page.
_COMMITS: Final = 50
#: Digits of a commit's id by which it can be asked for.
_DIGITS: Final = 7
#: Seconds without word of an agent that is at work after which the page says so.
_SILENT: Final = 60.0


class CommitPages:
    """Answers GET. ``repository`` is the URL of the one that is synced, "" where that is not known; ``questions`` are
    asked what a commit changes, where it can be read. ``may_act``: whether a commit that is held can be confirmed."""

    def __init__(self, board: Board, repository: str, questions: Questions | None, *, may_act: bool) -> None:
        self._may_act = may_act
        self._board = board
        self._repository = repository
        self._questions = questions

    async def commits(self, request: web.Request) -> web.Response:
        """What commits did, newest first."""
        await self._board.loaded()
        return answer(
            "commits.html", self._board, commits=self._board.commits[:_COMMITS], has_journal=self._board.has_journal
        )

    async def commit(self, request: web.Request) -> web.Response:
        """What one commit did, in which order, what each object waited for, and what it brought, as that is now."""
        await self._board.loaded()
        known, wanted = self._board.known, request.match_info["commit"]
        keys = known.keys(is_own_kind)
        item = self._recorded(wanted)
        if item is None:
            return self._unrecorded(wanted, keys)
        commit, since = item.first.commit, self._board.heard if item.is_running else 0.0
        brought = [key for key in keys if _commit_id(known.find(key)) == commit]
        return answer(
            "commit.html",
            self._board,
            item=item,
            waterfall=waterfall(item, since),
            since=since,
            is_silent=since > _SILENT,
            is_held=item.first is self._board.held,
            may_confirm=self._may_act,
            command=confirmation_command(self._board.inventory_key, commit),
            keys={str(key): key for key in keys},
            forge=commit_page(self._url_of(item), commit),
            before=self._before(item),
            can_compare=self._questions is not None,
            brought=views.rows(brought[: views.PAGE], known),
        )

    async def difference(self, request: web.Request) -> web.Response:
        """What one commit changed of what is rendered, against the one that was synced before it."""
        for_this_page_only(request)
        item = await self._asked(request)
        before = self._before(item)
        if self._questions is None or before is None:
            raise web.HTTPNotFound
        found = await self._questions.difference(before.first.commit, item.first.commit)
        return answer("difference.html", self._board, item=item, before=before, changes=found.changes)

    def _unrecorded(self, wanted: str, keys: Sequence[ObjectKey]) -> web.Response:
        """A commit that the journal does not have, but objects: mostly it is under way. Raises: HTTPNotFound."""
        known = self._board.known
        brought = [key for key in keys if len(wanted) >= _DIGITS and _commit_id(known.find(key)).startswith(wanted)]
        commit = commit_of(known.find(brought[0]) or {}) if brought else None
        if commit is None:
            raise web.HTTPNotFound
        rows = views.rows(brought[: views.PAGE], known)
        forge = commit_page(self._repository, commit.id)
        return answer("unrecorded.html", self._board, commit=commit, forge=forge, brought=rows)

    def _recorded(self, wanted: str) -> RecordedCommit | None:
        found = (it for it in self._board.commits if it.first.commit.startswith(wanted))
        return next(found, None) if len(wanted) >= _DIGITS else None

    async def _asked(self, request: web.Request) -> RecordedCommit:
        """Raises: HTTPNotFound."""
        await self._board.loaded()
        item = self._recorded(request.match_info["commit"])
        if item is None:
            raise web.HTTPNotFound
        return item

    def _before(self, item: RecordedCommit) -> RecordedCommit | None:
        """The commit that the sync of the settings had carried out before this one; None when none is recorded, or this
        one is of another repository."""
        if item.root is None:
            return None
        commits = self._board.commits
        older = commits[commits.index(item) + 1 :] if item in commits else ()
        return next((it for it in older if it.is_done), None)

    def _url_of(self, item: RecordedCommit) -> str:
        """Where the repository of a commit is; "" where nothing says so."""
        if item.root is not None and self._repository:
            return self._repository
        known = self._board.known
        for name in item.through:
            if url := _url_behind(ObjectKey(KUSTOMIZE_GROUP, KUSTOMIZATION, *name.split("/", 1)), known):
                return url
        return ""


def _url_behind(kustomization: ObjectKey, known: Known) -> str:
    source = known.source(kustomization)
    manifest = known.find(source) if source is not None else None
    return str(((manifest or {}).get("spec") or {}).get("url") or "")


def _commit_id(manifest: Manifest | None) -> str:
    commit = commit_of(manifest) if manifest is not None else None
    return commit.id if commit is not None else ""
