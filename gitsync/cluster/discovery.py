"""Which kinds the API server serves, and where."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import structlog

from gitsync.cluster.status import Subject
from gitsync.cluster.timings import Timings
from gitsync.cluster.transport import JSON, Request, Transport
from gitsync.errors import ApiError, ClusterUnavailable, KindUnknown

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

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """``/apis/apps/v1/namespaces/default/deployments/web/status``; parts left out are left out."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/" + "/".join(quote(part, safe=":") for part in (*parts, self.plural, name, subresource) if part)


@dataclass(frozen=True, slots=True)
class _Table:
    """One reading. ``kinds``: versions in the server's order of preference. ``unread``: groups whose server is away."""

    kinds: Mapping[tuple[str, str], Mapping[str, Resource]]
    unread: frozenset[str]


class Discovery:
    """Read at the first question, and again when a kind is unknown, since its CRD may be seconds old; not more often
    than once in ``timings.discovery`` seconds.
    """

    def __init__(self, transport: Transport, timings: Timings) -> None:
        self._transport = transport
        self._timings = timings
        self._table: _Table | None = None
        self._stale = False
        self._read_at = -1e9
        self._reading = asyncio.Lock()
        #: Set and replaced at every reading, for those who wait for a kind to appear.
        self.read_again = asyncio.Event()

    async def resource(self, group: str, kind: str, version: str = "") -> Resource:
        """Where a kind is served; in the version that the server prefers when none is named.

        Raises: KindUnknown; ClusterUnavailable, also when the group's own API server (an APIService) is away.
        """
        asked_at = time.monotonic()
        found = self._find(group, kind, version)
        if found is None or self._stale:
            await self._read(asked_at)
            found = self._find(group, kind, version)
        if found is None:
            raise self._unknown(group, kind, version)
        return found

    def known(self, group: str, kind: str) -> bool:
        """Whether the last reading had the kind. Makes no request."""
        return not self._stale and self._find(group, kind, "") is not None

    def forget(self) -> None:
        """Has the next question read again: a path that was served is not any more."""
        self._stale = True

    async def _read(self, asked_at: float) -> None:
        async with self._reading:
            if self._table is not None and self._read_at + self._timings.discovery > asked_at:
                return
            started = time.monotonic()
            self._table = await _read_table(self._transport)
            self._read_at = started
            self._stale = False
            self.read_again.set()
            self.read_again = asyncio.Event()
            log.debug("discovery read", kinds=len(self._table.kinds), unread=sorted(self._table.unread))

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
            status=404,
            reason="NotFound",
            verb="discover",
            hint=f"served: {served}" if served else "a CustomResourceDefinition must bring it first",
        )


async def _read_table(transport: Transport) -> _Table:
    core, named = await asyncio.gather(_fetch(transport, "/api", _AGGREGATED), _fetch(transport, "/apis", _AGGREGATED))
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
        except (ApiError, ClusterUnavailable) as error:
            log.debug("api group not read", group=group, version=version, error=error.message)
            unread.add(group)
            return []
        return [
            Resource(group, version, entry["kind"], entry["name"], entry["namespaced"], frozenset(entry["verbs"]))
            for entry in listed.get("resources") or ()
            if "/" not in entry["name"]
        ]

    return [resource for found in await asyncio.gather(*(read(*each) for each in wanted)) for resource in found]
