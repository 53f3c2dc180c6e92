"""Which kinds the API server serves, and where."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog

from gitsync.cluster.shape import not_understood
from gitsync.cluster.status import Subject
from gitsync.cluster.timings import Timings
from gitsync.cluster.transport import JSON, Request, Transport
from gitsync.errors import ApiError, ClusterUnavailable, GitsyncError, Invalid, KindUnknown

log = structlog.get_logger(__name__)

#: The aggregated form: two requests tell everything (Kubernetes 1.26 on). Older servers answer with the plain one.
_AGGREGATED = ",".join(
    [*(f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")), JSON]
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind in one version, and its name in paths."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def collection(self, namespace: str = "") -> str:
        """``/apis/apps/v1/namespaces/default/deployments``; without a namespace that of all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            return f"{root}/namespaces/{_segment(namespace)}/{self.plural}"
        return f"{root}/{self.plural}"

    def home(self, namespace: str, name: str) -> str:
        """The collection that the object belongs to. Raises: Invalid when it has no namespace and needs one."""
        if self.namespaced and not namespace:
            raise Invalid(f"{self.kind}/{name} has no namespace, and needs one", status=400, reason="BadRequest")
        return self.collection(namespace)

    def object(self, namespace: str, name: str, subresource: str = "") -> str:
        """The path of one object, or of its ``subresource``.

        Raises: Invalid for a name that is none, which would otherwise lead to another object or a whole collection.
        """
        path = f"{self.home(namespace, name)}/{_segment(name)}"
        return f"{path}/{subresource}" if subresource else path


def _segment(name: str) -> str:
    """A name as one segment of a path, by the rules of apimachinery's ValidatePathSegmentName."""
    if name in ("", ".", "..") or "/" in name or "%" in name:
        raise Invalid(f"{name!r} cannot be the name of an object", status=400, reason="BadRequest")
    return quote(name, safe=":")


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """An API server's version (``v1.36.3``) and all that it serves, as (group, version, kind)."""

    version: str
    kinds: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """One reading. ``kinds``: versions in the server's order of preference. ``unread``: groups whose server is away."""

    kinds: Mapping[tuple[str, str], Mapping[str, Resource]]
    unread: frozenset[str]


class Discovery:
    """What the API server serves. It is read at the first question, and again when a kind is unknown, since its CRD may
    be seconds old; not more often than once in ``timings.discovery`` seconds.
    """

    def __init__(self, transport: Transport, timings: Timings) -> None:
        self._transport = transport
        self._timings = timings
        self._table: _Table | None = None
        self._served: tuple[_Table, Served] | None = None
        self._stale = False
        self._read_at = -1e9
        self._reading = asyncio.Lock()
        #: Set and replaced at every reading, for those who wait for a kind to appear.
        self.read_again = asyncio.Event()

    async def resource(self, group: str, kind: str, version: str = "") -> Resource:
        """Where a kind is served; in the version that the server prefers when none is named.

        Raises: KindUnknown; ClusterUnavailable, also when the group's own API server (an APIService) is away.
        """
        found = self._current(group, kind, version)
        if found is None:
            await self._read_unless(lambda: self._current(group, kind, version) is not None)
            found = self._find(group, kind, version)
        if found is None:
            raise self._unknown(group, kind, version)
        return found

    def known(self, group: str, kind: str) -> bool:
        """Whether the last reading had the kind. Makes no request."""
        return self._current(group, kind, "") is not None

    async def served(self, version: str) -> Served:
        """Everything that is served by an API server of this version. Raises: ClusterUnavailable."""
        await self._read_unless(lambda: self._table is not None and not self._stale)
        assert self._table is not None
        if self._served is None or self._served[0] is not self._table:
            kinds = (item for versions in self._table.kinds.values() for item in versions.values())
            self._served = self._table, Served(version, tuple((k.group, k.version, k.kind) for k in kinds))
        return self._served[1]

    def forget(self) -> None:
        """Has the next question read it again: call it when a path that it named is not served any more."""
        self._stale = True

    async def _read_unless(self, answered: Callable[[], bool]) -> None:
        """Reads again, unless the last reading is fresh, or somebody else's reading meanwhile has the answer."""
        asked_at = time.monotonic()
        async with self._reading:
            if answered() or self._read_at + self._timings.discovery > asked_at:
                return
            started = time.monotonic()
            try:
                self._table = await _read_table(self._transport)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise not_understood(Subject("discover", "what is served"), type(error).__name__) from error
            self._read_at = started
            self._stale = False
            self.read_again.set()
            self.read_again = asyncio.Event()
            log.debug("discovery read", kinds=len(self._table.kinds), unread=sorted(self._table.unread))

    def _current(self, group: str, kind: str, version: str) -> Resource | None:
        return None if self._stale else self._find(group, kind, version)

    def _find(self, group: str, kind: str, version: str) -> Resource | None:
        versions = self._table.kinds.get((group, kind), {}) if self._table else {}
        if version:
            return versions.get(version)
        return next(iter(versions.values()), None)

    def _unknown(self, group: str, kind: str, version: str) -> ApiError | ClusterUnavailable:
        assert self._table is not None
        if group in self._table.unread:
            return ClusterUnavailable(f"the server behind the API group {group} does not answer", status=503)
        served = ", ".join(self._table.kinds.get((group, kind), ()))
        name = f"{group}/{version}".strip("/")
        return KindUnknown(
            f"the API server serves no kind {kind}" + (f" in {name}" if name else ""),
            group=group,
            kind=kind,
            version=version,
            hint=f"served: {served}" if served else "a CustomResourceDefinition must bring it first",
        )


async def _read_table(transport: Transport) -> _Table:
    core = await _fetch(transport, "/api", _AGGREGATED)
    named = await _fetch(transport, "/apis", _AGGREGATED)
    kinds: dict[tuple[str, str], dict[str, Resource]] = {}
    unread: set[str] = set()
    for document in (core, named):
        if document.get("kind") == "APIGroupDiscoveryList":
            resources = _of_aggregated(document, unread)
        else:
            resources = await _of_groups(transport, document, unread)
        for resource in resources:
            kinds.setdefault((resource.group, resource.kind), {}).setdefault(resource.version, resource)
    return _Table(kinds, frozenset(unread))


async def _fetch(transport: Transport, path: str, accept: str = JSON) -> Any:
    answer = await transport.send(Request("GET", path, Subject("discover", path), accept=accept, compressed=True))
    return answer.body


def _of_aggregated(document: Mapping[str, Any], unread: set[str]) -> Iterable[Resource]:
    for item in document.get("items") or ():
        group = item["metadata"].get("name") or ""
        for version in item.get("versions") or ():
            if version.get("freshness") == "Stale":
                unread.add(group)
            for entry in version.get("resources") or ():
                # A path that has only subresources names no kind of its own.
                if kind := (entry.get("responseKind") or {}).get("kind"):
                    namespaced = entry.get("scope") == "Namespaced"
                    verbs = frozenset(entry.get("verbs") or ())
                    yield Resource(group, version["version"], kind, entry["resource"], namespaced, verbs)


async def _of_groups(transport: Transport, document: Mapping[str, Any], unread: set[str]) -> Iterable[Resource]:
    """The plain form: the document only names the groups (or, for the core, versions), each to be asked for."""
    wanted = [("", version, f"/api/{version}") for version in document.get("versions") or ()]
    for item in document.get("groups") or ():
        preferred = (item.get("preferredVersion") or {}).get("version")
        versions = sorted((entry["version"] for entry in item["versions"]), key=lambda name: name != preferred)
        wanted += [(item["name"], version, f"/apis/{item['name']}/{version}") for version in versions]

    async def read(group: str, version: str, path: str) -> list[Resource]:
        try:
            listed = await _fetch(transport, path)
        except GitsyncError as error:
            log.debug("api group not read", group=group, version=version, error=error.message)
            unread.add(group)
            return []
        return [
            Resource(group, version, entry["kind"], entry["name"], entry["namespaced"], frozenset(entry["verbs"]))
            for entry in listed.get("resources") or ()
            if "/" not in entry["name"]
        ]

    return [resource for found in await asyncio.gather(*(read(*each) for each in wanted)) for resource in found]
