"""The pages: each reads what it shows, and fills its template."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_kustomization, is_own_kind, is_release, is_suspended
from gitsync.errors import FieldErrors
from gitsync.live.owner import owner_of
from gitsync.live.upcoming import upcoming
from gitsync.live.why import origin_of, why, why_part
from gitsync.release.dependencies.states import commit_of
from gitsync.release.values.lines import lines_of
from gitsync.text import whole_number
from gitsync.web.ui import board as kinds
from gitsync.web.ui import drawing, layout, render, values, views
from gitsync.web.ui.actions import action_named, actions_for
from gitsync.web.ui.answers import answer

if TYPE_CHECKING:
    from gitsync.live.known import Known
    from gitsync.web.ui.board import Board
    from gitsync.web.ui.looks import Look, Looks

#: Seconds that a page waits for a look at what holds up others; what is seen later is told as a change.
_GLANCE: Final = 0.4
#: Seconds that a graph waits for looks at what is unfolded in it, and how many may be.
_LOOK: Final = 5.0
_UNFOLDED: Final = 12
#: From a pod up to its release: a Job or ReplicaSet, a CronJob or Deployment.
_STEPS: Final = 4
#: So many causes are looked into down to their pods.
_LOOKED_INTO: Final = 4


class Handlers:
    """Answers GET. ``may_act``: whether pages offer what can be done with an object."""

    def __init__(self, board: Board, looks: Looks, *, may_act: bool) -> None:
        self._may_act = may_act
        self._drawing = asyncio.Lock()
        #: The graph as it was drawn last, and of which version of the board.
        self._drawn: tuple[int, layout.Drawn] | None = None
        #: What holds things up, in the same way.
        self._causes: tuple[int, list[views.Cause]] | None = None
        self._board = board
        self._looks = looks

    async def overview(self, request: web.Request) -> web.Response:
        """How everything stands, what holds things up, what goes on, and the last commits."""
        await self._board.loaded()
        known = self._board.known
        tiles = [
            views.tile("Releases", "/releases", is_release, known, self._board.unseen(kinds.RELEASES)),
            views.tile(
                "Kustomizations", "/kustomizations", is_kustomization, known, self._board.unseen(kinds.KUSTOMIZATIONS)
            ),
            views.tile("Sources", "/sources", _is_source, known, self._board.unseen(kinds.SOURCES)),
        ]
        found = self._causes_of(known)
        shown = await asyncio.gather(*(self._deeper(cause) for cause in found[:_LOOKED_INTO]))
        acts = views.acting(known)
        return self._page(
            "overview.html",
            tiles=tiles,
            causes=[*shown, *found[_LOOKED_INTO : views.CAUSES]],
            more_causes=max(len(found) - views.CAUSES, 0),
            acts=views.rows(acts[: views.ACTS], known),
            more_acts=max(len(acts) - views.ACTS, 0),
            commits=self._board.commits[: views.COMMITS],
            running=[item for item in self._board.commits[: views.COMMITS] if item.is_running],
            has_journal=self._board.has_journal,
        )

    async def releases(self, request: web.Request) -> web.Response:
        """All HelmReleases."""
        return await self._list(request, "Releases", is_release)

    async def kustomizations(self, request: web.Request) -> web.Response:
        """All Kustomizations."""
        return await self._list(request, "Kustomizations", is_kustomization)

    async def sources(self, request: web.Request) -> web.Response:
        """All sources, and what makes some."""
        return await self._list(request, "Sources", _is_source)

    async def search(self, request: web.Request) -> web.Response:
        """Everything that is watched."""
        return await self._list(request, "Search", lambda key: True)

    async def graph(self, request: web.Request) -> web.Response:
        """Sources, Kustomizations, releases and what waits for what, drawn; of those that are asked for, their
        workloads and pods."""
        await self._board.loaded()
        known = self._board.known
        asked = dict.fromkeys(filter(None, map(render.key_of, request.query.getall("open", ()))))
        wanted = [key for key in asked if known.find(key) is not None and (is_release(key) or is_kustomization(key))]
        wanted = wanted[:_UNFOLDED]
        unready = [key for key in known.keys(is_release) if views.is_held_up(key, known)]
        trees = await asyncio.gather(*(self._looks.tree_of(key, _LOOK) for key in wanted))
        drawn = await self._drawing_of(dict(zip(wanted, trees, strict=True)))
        shown = {"graph": drawn, "unfolded": len(wanted), "unready": drawing.address(unready[:_UNFOLDED])}
        return self._page("graph.html", **shown, most=_UNFOLDED)

    def _causes_of(self, known: Known) -> list[views.Cause]:
        """What holds things up; worked out once for all who look at the same."""
        version = self._board.version
        if self._causes is None or self._causes[0] != version:
            self._causes = version, views.causes(known)
        return self._causes[1]

    async def _drawing_of(self, unfolded: drawing.Unfolded) -> layout.Drawn:
        async with self._drawing:  # one after the other: who looks at the same is shown the same
            version = self._board.version
            if not unfolded and self._drawn is not None and self._drawn[0] == version:
                return self._drawn[1]
            nodes, edges = drawing.of_known(self._board.known, unfolded)
            drawn = await asyncio.to_thread(layout.laid_out, nodes, edges)
            if not unfolded:
                self._drawn = version, drawn
        return drawn

    async def object(self, request: web.Request) -> web.Response:
        """One object: why it waits, what it says of itself, what it has, what happened to it."""
        key = render.key_at(*(request.match_info[name] for name in ("group", "kind", "namespace", "name")))
        await self._board.loaded()
        look = await self._looks.at(key)
        if look.manifest is None and not look.troubles:
            raise web.HTTPNotFound(text=f"{key} is not in the cluster.")
        known = self._board.known
        users = views.users(key, known) if _is_source(key) else []
        chain, follows, standing = None, "", known.standing(key)
        if standing is not None:
            chain = why(key, known)
            follows = upcoming(key, look.manifest or {}, standing, chain)
            cause = chain.cause.key
            tree = look.tree if cause == key else await self._looks.tree_of(cause, _GLANCE)
            chain = why(key, known, tree)
        owner = owner_of(look.manifest, known) if standing is None and look.manifest is not None else None
        if standing is None and look.tree is not None:
            chain = why_part(look.tree, await self._own(owner), known)
        return self._page(
            "object.html",
            key=key,
            look=look,
            chain=chain,
            standing=standing,
            upcoming=follows,
            branches=views.branches(look.tree, known) if look.tree is not None else [],
            dependencies=views.rows(known.dependencies(key), known),
            source=(source := known.source(key)),
            has_source=source is not None and known.find(source) is not None,
            above=known.above(key),
            owner=owner,
            users=views.rows(users[: views.PAGE], known),
            more_users=max(len(users) - views.PAGE, 0),
            through=views.through(key, self._board.commits)[: views.COMMITS],
            actions=actions_for(key, look.manifest) if self._may_act else (),
            done=action_named(request.query.get("done", "")),
            has_records=self._may_act and is_release(key) and look.manifest is not None,
            **_of_manifest(key, look),
        )

    async def _own(self, owner: ObjectKey | None) -> ObjectKey | None:
        """What of our own kinds an object with this owner is of; None where that cannot be seen."""
        for _ in range(_STEPS):
            if owner is None or is_own_kind(owner):
                return owner
            manifest = (await self._looks.at(owner)).manifest
            owner = owner_of(manifest, self._board.known) if manifest is not None else None
        return None

    async def _list(self, request: web.Request, title: str, wanted: views.Kinds) -> web.Response:
        await self._board.loaded()
        text, status = request.query.get("q", "")[:200], request.query.get("status", "")
        status = status if status in views.STATUSES else ""
        known = self._board.known
        anyhow = views.matching(known, wanted, text, "")
        found = views.matching(known, wanted, text, status) if status else anyhow
        pages = max(-(-len(found) // views.PAGE), 1)
        number = min(max(whole_number(request.query.get("page", "1")) or 1, 1), pages)
        shown = found[(number - 1) * views.PAGE : number * views.PAGE]
        return self._page(
            "list.html",
            title=title,
            path=request.path,
            tile=views.tile(title, request.path, frozenset(anyhow).__contains__, known),
            rows=views.rows(shown, known),
            count=len(found),
            q=text,
            wanted=status,
            number=number,
            pages=pages,
        )

    async def _deeper(self, cause: views.Cause) -> views.Cause:
        """The same with the chain down to pods, where that can be seen at once."""
        found = cause.why
        if found.cycle is not None or not is_release(found.cause.key) or found.cause.status != "failed":
            return cause
        tree = await self._looks.tree_of(found.cause.key, _GLANCE)
        return views.Cause(why(found.links[0].key, self._board.known, tree), cause.holds)

    def _page(self, template: str, **shown: Any) -> web.Response:
        return answer(template, self._board, **shown)


def _of_manifest(key: ObjectKey, look: Look) -> dict[str, Any]:
    """What a page of an object shows of the object itself."""
    manifest = look.manifest or {}
    status = manifest.get("status") if isinstance(manifest.get("status"), dict) else {}
    shown: dict[str, Any] = {
        "conditions": [(item, views.in_words(str(item.get("type")), item)) for item in _maps(status, "conditions")]
        if is_own_kind(key)
        else [(item, "") for item in _maps(status, "conditions")],
        "commit": commit_of(manifest) if manifest else None,
        "origin": origin_of(manifest) if manifest else "",
        "suspended": bool(manifest) and is_suspended(manifest),
        "revision": views.revision_of(key, manifest) if manifest and is_own_kind(key) else "",
        "history": _maps(status, "history") if is_release(key) else [],
        "spec": _spec(manifest) if is_own_kind(key) else [],
        "values": (),
        "more_values": 0,
        "references": (),
    }
    if is_release(key) and manifest:
        try:
            release = HelmRelease.parse(manifest)
        except FieldErrors:
            return shown
        shown["values"], shown["more_values"] = values.lines(release.spec.values or {}, lines_of(manifest))
        shown["references"] = values.references(release)
    return shown


#: Of a spec: what is shown of it as it is, in this order.
_SHOWN: Final = (
    "url",
    "ref",
    "path",
    "interval",
    "timeout",
    "retryInterval",
    "prune",
    "wait",
    "targetNamespace",
    "releaseName",
)


def _spec(manifest: Manifest) -> list[tuple[str, str]]:
    spec = manifest.get("spec") if isinstance(manifest.get("spec"), dict) else {}
    found = []
    for name in _SHOWN:
        value = (spec or {}).get(name)
        if isinstance(value, dict):
            value = ", ".join(f"{inner}: {text}" for inner, text in value.items())
        if value not in (None, ""):
            found.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return found


def _maps(status: Any, name: str) -> list[dict[str, Any]]:
    found = status.get(name) if isinstance(status, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _is_source(key: ObjectKey) -> bool:
    return key[:2] in kinds.SOURCES
