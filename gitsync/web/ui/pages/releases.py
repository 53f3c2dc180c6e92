"""The pages of a release that show what Helm's records and Secrets hold: revisions and what differs between them, where
its values come from, and rolling back. They are for those whose own rights serve the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey, Origin
from gitsync.api.kinds import is_release
from gitsync.errors import ClusterUnavailable, FieldErrors, FieldNotSupported, Forbidden, GitsyncError
from gitsync.live.requests import git_names, origin_of
from gitsync.live.revisions import revision_changes, values_at
from gitsync.live.valuesources import CHART, INLINE, Path, SourcedValue, secret_paths, sourced
from gitsync.release.desired import ref_of
from gitsync.release.storage.recordmemory import RecordMemory
from gitsync.release.storage.recordstore import RecordStore
from gitsync.release.values.compose import secrets_in, text_in
from gitsync.release.values.lines import lines_of
from gitsync.text import leaves, whole_number
from gitsync.web.ui import render
from gitsync.web.ui.actions import Action
from gitsync.web.ui.answers import answer, problem
from gitsync.web.ui.changes import Changes, shown_objects
from gitsync.web.ui.guard import HEADERS, Guard
from gitsync.web.ui.rollbacks import HOLDER, Rollbacks
from gitsync.web.ui.values import MOST, Value, shown_value

if TYPE_CHECKING:
    from gitsync.release.revision import ReleaseRef
    from gitsync.release.storage.record import Record, Summary
    from gitsync.web.ui.board import Board

#: Seconds that the records of a release may take to be read and compared, and how many releases at once.
_PATIENCE: Final = 30.0
_AT_ONCE: Final = 2
ROLL_BACK: Final = Action(
    "rollback",
    "Roll back",
    "the release is suspended, so that the agent leaves it alone, and the old revision is brought back as a new one, "
    "as helm rollback does. It stays suspended until it is resumed; resumed unchanged, it is upgraded again to what "
    "Git has.",
)


@dataclass(frozen=True, slots=True)
class _Texts:
    """What ``valuesFrom`` names, None for what is not there; ``refused`` are the Secrets that may not be read."""

    all: tuple[str | None, ...]
    refused: Sequence[Forbidden]


@dataclass(frozen=True, slots=True)
class _Row:
    """A value with where it comes from."""

    value: Value
    found: SourcedValue


class ReleasePages:
    """Answers GET, and the POST of a rollback."""

    def __init__(self, board: Board, guard: Guard, memory: RecordMemory, rollbacks: Rollbacks) -> None:
        self._board = board
        self._guard = guard
        self._memory = memory
        self._rollbacks = rollbacks
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def revisions(self, request: web.Request) -> web.Response:
        """All revisions, and what differs between two: those that are asked for, else the newest and the one before."""
        key, manifest, release = await self._asked(request)
        ref = ref_of(release)
        async with self._reading(ref) as store:
            known = store.revisions(ref.storage, ref.name)
            old, new = _chosen(known, request)
            wanted = [item.version for item in (old, new) if item is not None]
            records = [await store.read(ref.storage, ref.name, version) for version in wanted]
            changes, refused = await self._compared(release, records)
        return answer(
            "revisions.html",
            self._board,
            key=key,
            revisions=list(reversed(known)),
            told={item.get("version"): item for item in _history(manifest)},
            records=records,
            changes=changes,
            refused=refused,
            rollback=self._rollbacks.of(key),
        )

    async def values(self, request: web.Request) -> web.Response:
        """All values, those of the chart included, and where each comes from."""
        key, manifest, release = await self._asked(request)
        texts = await self._texts(release)
        defaults, chart = await self._defaults(release)
        found = await asyncio.to_thread(sourced, release, texts.all, defaults)
        written = lines_of(manifest)
        rows = [_Row(_shown(it, written), it) for it in found[:MOST]]
        return answer(
            "values.html",
            self._board,
            key=key,
            # Of what a Kustomization has built nobody noted which file a value is from.
            origin=origin_of(manifest) if self._board.known.above(key) is None else "",
            rows=[row for row in rows if row.found.source != CHART],
            defaults=[row for row in rows if row.found.source == CHART],
            chart=chart,
            more=max(len(found) - MOST, 0),
            refused=texts.refused,
        )

    async def confirm(self, request: web.Request) -> web.Response:
        """The page that asks whether a rollback is meant."""
        key, manifest, _ = await self._asked(request)
        revision = whole_number(request.query.get("revision", ""))
        if not revision:
            raise web.HTTPNotFound
        return answer(
            "confirm.html",
            self._board,
            key=key,
            action=Action(ROLL_BACK.word, ROLL_BACK.title, f"Back to revision {revision}: {ROLL_BACK.effect}"),
            token=self._guard.token,
            warning=_of_git(manifest),
            fields={"revision": revision},
        )

    async def roll_back(self, request: web.Request) -> web.Response:
        """Begin it, and go back to the release's revisions, which tell what comes of it."""
        form = await request.post()
        token, revision = form.get("token", ""), form.get("revision", "")
        if not isinstance(token, str) or not self._guard.holds(token):
            return web.Response(status=403, text="the form is not one of this page\n", headers=HEADERS)
        key, _, _ = await self._asked(request)
        number = whole_number(revision) if isinstance(revision, str) else None
        if not number:
            raise web.HTTPNotFound
        try:
            await asyncio.shield(self._rollbacks.begin(key, number))
        except GitsyncError as error:
            return problem(self._board, error)
        return web.Response(status=303, headers={**HEADERS, "Location": f"{render.path_of(key)}/revisions"})

    async def _asked(self, request: web.Request) -> tuple[ObjectKey, Manifest, HelmRelease]:
        """Raises: HTTPNotFound; FieldNotSupported where the release is in another cluster; ApiError."""
        key = render.key_at(*(request.match_info[name] for name in ("group", "kind", "namespace", "name")))
        manifest = await self._board.cluster.find(key) if is_release(key) else None
        if manifest is None:
            raise web.HTTPNotFound
        try:
            release = HelmRelease.parse(manifest)
        except FieldErrors:
            raise web.HTTPNotFound(text="The HelmRelease cannot be read: its own page says why.") from None
        if release.spec.kube_config is not None:
            raise FieldNotSupported(f"{key} is released to another cluster (spec.kubeConfig)", hint="ask helm there")
        return key, manifest, release

    @asynccontextmanager
    async def _reading(self, ref: ReleaseRef) -> AsyncIterator[RecordStore]:
        """With the names of a release's records known. Raises: Forbidden, ClusterUnavailable."""
        store = RecordStore(self._board.cluster, HOLDER, self._memory)
        try:
            async with self._slots, asyncio.timeout(_PATIENCE), store.watching(ref.storage):
                yield store
        except TimeoutError:
            raise ClusterUnavailable(f"the records of {ref} could not be read within {_PATIENCE:g} s") from None

    async def _compared(
        self, release: HelmRelease, records: Sequence[Record]
    ) -> tuple[Changes | None, Sequence[Forbidden]]:
        """What differs between two, or the Secrets without which nobody knows what of that is to be masked."""
        if len(records) < 2:
            return None, ()
        texts = await self._texts(release)
        if texts.refused:
            return None, texts.refused
        return await asyncio.to_thread(_difference, release, texts.all, *records), ()

    async def _texts(self, release: HelmRelease) -> _Texts:
        refused: list[Forbidden] = []

        async def read(key: ObjectKey) -> Manifest | None:
            try:
                return await self._board.cluster.find(key)
            except Forbidden as error:
                refused.append(error)
                return None

        keys = release.value_sources()
        found = dict(zip(keys, await asyncio.gather(*map(read, keys)), strict=True))
        pairs = zip(release.spec.values_from, keys, strict=True)
        return _Texts(tuple(text_in(key, found[key], item.values_key) for item, key in pairs), refused)

    async def _defaults(self, release: HelmRelease) -> tuple[dict[str, Any], str]:
        """The values of the chart that is deployed, and what that is called; nothing where that cannot be seen."""
        ref = ref_of(release)
        try:
            async with self._reading(ref) as store:
                latest = store.latest(ref.storage, ref.name)
                if latest is None:
                    return {}, ""
                record = await store.read(ref.storage, ref.name, latest.version)
        except GitsyncError:
            return {}, ""
        return record.chart.get("values") or {}, f"{record.chart_name}-{record.chart_version}"


def _shown(found: SourcedValue, written: Mapping[Path, Origin]) -> Value:
    origin = written.get(found.path) if found.source == INLINE else None
    return shown_value(found.path, found.value, masked=found.source.is_secret, origin=origin)


def _difference(release: HelmRelease, texts: Sequence[str | None], old: Record, new: Record) -> Changes:
    """Without what comes out of Secrets, be it that of today or what a record has in the same place."""
    secrets = set(secrets_in(release, texts))
    paths = secret_paths(release, texts)
    for value in (*values_at(old, paths), *values_at(new, paths)):
        secrets.update(leaves(value))
    return shown_objects(revision_changes(old, new, secrets, paths))


def _chosen(known: Sequence[Summary], request: web.Request) -> tuple[Summary | None, Summary | None]:
    """The older and the newer of the two that are compared. Raises: HTTPNotFound."""
    by_number = {item.version: item for item in known}
    newest = known[-1] if known else None
    new = _named(by_number, request, "to", newest)
    before = [item for item in known if new is not None and item.version < new.version]
    return _named(by_number, request, "from", before[-1] if before else None), new


def _named(known: Mapping[int, Summary], request: web.Request, name: str, otherwise: Summary | None) -> Summary | None:
    if name not in request.query:
        return otherwise
    found = known.get(whole_number(request.query[name]) or 0)
    if found is None:
        raise web.HTTPNotFound(text="There is no such revision.")
    return found


def _history(manifest: Manifest) -> list[dict[str, Any]]:
    found = (manifest.get("status") or {}).get("history")
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _of_git(manifest: Manifest) -> str:
    """What Git will make of a rollback; "" for nothing."""
    origin = origin_of(manifest)
    if origin and git_names(manifest, "spec", "suspend"):
        return f"Git says something about spec.suspend and will put that back: change {origin} instead."
    return (
        f"It comes from {origin}. Where there is no hurry, revert the commit: that needs none of this."
        if origin
        else ""
    )
