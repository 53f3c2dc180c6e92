"""A list, page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gitsync.api.identity import Manifest
from gitsync.cluster.discovery import Resource
from gitsync.cluster.status import Subject
from gitsync.cluster.transport import JSON, TOO_LARGE, Request, Transport
from gitsync.errors import ApiError, Gone

#: How many objects a page holds; fewer where one object may have a megabyte.
PAGE = 500
PAGE_OF_LARGE = 100
LARGE_KINDS = frozenset({"Secret", "ConfigMap"})
METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#: How often a list whose continue token ran out (410) is begun anew before it is given up.
_RESTARTS = 3

Keep = Callable[[Manifest], Manifest]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects: of a resource, in one namespace or ("") all, by label and field selectors as kubectl's."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        pairs = (("labelSelector", self.labels), ("fieldSelector", self.fields))
        return tuple(pair for pair in pairs if pair[1])

    @property
    def path(self) -> str:
        return self.resource.collection(self.namespace)

    def subject(self, verb: str) -> Subject:
        where = f" in {self.namespace}" if self.namespace else ""
        return Subject(verb, f"{self.resource.kind}{where}")


async def read_list(
    transport: Transport, selection: Selection, *, keep: Keep | None = None, metadata_only: bool = False
) -> tuple[list[Manifest], str]:
    """The objects, complete with apiVersion and kind (which lists leave out), and the list's resourceVersion.

    Consistent: never older than what we wrote before. A continue token that has run out (410) begins the list anew.
    """
    for _ in range(_RESTARTS - 1):
        try:
            return await _read_pages(transport, selection, keep, metadata_only)
        except Gone:
            continue
    return await _read_pages(transport, selection, keep, metadata_only)


async def _read_pages(
    transport: Transport, selection: Selection, keep: Keep | None, metadata_only: bool
) -> tuple[list[Manifest], str]:
    resource = selection.resource
    limit = PAGE_OF_LARGE if resource.kind in LARGE_KINDS and not metadata_only else PAGE
    accept = METADATA_LIST if metadata_only else JSON
    found: list[Manifest] = []
    token = ""
    while True:
        query = (*selection.query, ("limit", str(limit)), *((("continue", token),) if token else ()))
        request = Request("GET", selection.path, selection.subject("list"), query=query, accept=accept, compressed=True)
        try:
            body: Any = (await transport.send(request)).body
        except ApiError as error:
            if error.reason != TOO_LARGE or limit == 1:
                raise
            limit = max(1, limit // 5)
            continue
        for item in body.get("items") or ():
            item["apiVersion"], item["kind"] = resource.api_version, resource.kind
            found.append(keep(item) if keep is not None else item)
        metadata = body.get("metadata") or {}
        token = metadata.get("continue") or ""
        if not token:
            return found, metadata.get("resourceVersion") or ""
