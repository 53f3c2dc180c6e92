"""A list, page by page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gitsync.api.identity import Manifest
from gitsync.budget import Loan, Spent
from gitsync.cluster.discovery import Resource
from gitsync.cluster.shape import as_element, as_list_meta, not_understood
from gitsync.cluster.status import Subject
from gitsync.cluster.transport import JSON, TOO_LARGE, Request, Transport
from gitsync.errors import ApiError, Gone
from gitsync.weight import object_weight

#: How many objects a page holds; fewer where one object may have a megabyte.
PAGE = 500
PAGE_OF_LARGE = 100
LARGE_KINDS = frozenset({"Secret", "ConfigMap"})
METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#: What an object counts at least, of which only a part is kept, and what a page counts at least: a server could go on
#: for ever with empty pages.
_KEPT_WEIGHT = 1024
_PAGE_WEIGHT = 64 << 10
_PAGE_LEFT = 1024
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
    transport: Transport,
    selection: Selection,
    *,
    keep: Keep | None = None,
    metadata_only: bool = False,
    loan: Loan | None = None,
) -> tuple[list[Manifest], str]:
    """The objects, complete with apiVersion and kind (which lists leave out), and the list's resourceVersion. The
    memory that they take is added to ``loan``, of this server's share; the caller gives it back.

    Consistent: never older than what we wrote before. A continue token that has run out (410) begins the list anew.
    """
    counted = loan or Loan(transport.share)
    try:
        for _ in range(_RESTARTS - 1):
            try:
                return await _read_pages(transport, selection, keep, metadata_only, counted)
            except Gone:
                counted.close()
        return await _read_pages(transport, selection, keep, metadata_only, counted)
    finally:
        if loan is None:
            counted.close()


async def _read_pages(
    transport: Transport, selection: Selection, keep: Keep | None, metadata_only: bool, loan: Loan
) -> tuple[list[Manifest], str]:
    resource = selection.resource
    limit = PAGE_OF_LARGE if resource.kind in LARGE_KINDS and not metadata_only else PAGE
    accept = METADATA_LIST if metadata_only else JSON
    found: list[Manifest] = []
    token, heavy = "", 0
    while True:
        query = (*selection.query, ("limit", str(limit)), *((("continue", token),) if token else ()))
        request = Request("GET", selection.path, selection.subject("list"), query=query, accept=accept, compressed=True)
        try:
            answer = await transport.send(request)
        except ApiError as error:
            if error.reason != TOO_LARGE or limit == 1:
                raise
            limit = max(1, limit // 5)
            continue
        body: Any = answer.body
        items = (body.get("items") or ()) if isinstance(body, dict) else None
        if not isinstance(items, list | tuple):
            raise not_understood(selection.subject("list"), "it is no list")
        heavy += max(_PAGE_WEIGHT, answer.weight if keep is None else _KEPT_WEIGHT * len(items))
        if heavy > transport.bounds.whole:
            raise _too_long(selection, f"the list would take more than {transport.bounds.whole >> 20} MiB of memory")
        for item in items:
            as_element(item, request.subject)
            item["apiVersion"], item["kind"] = resource.api_version, resource.kind
            found.append(keep(item) if keep is not None else item)
        if loan.counts:
            try:
                loan.take(_PAGE_LEFT + sum(map(object_weight, found[-len(items) :] if items else ())))
            except Spent as spent:
                raise _too_long(selection, f"what is known of its API server would take {spent}") from None
        token, version = as_list_meta(body.get("metadata"), request.subject)
        if not token:
            return found, version


def _too_long(selection: Selection, why: str) -> ApiError:
    subject = selection.subject("list")
    message = f"cannot list {subject.name}: {why}"
    return ApiError(message, status=200, reason=TOO_LARGE, verb="list", key=subject.key)
