"""Listing and watching for ``gitsync get``: from the cluster to the terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from gitsync.api.identity import Manifest, ObjectKey, without_managed_fields
from gitsync.cli.common.liveobject import find
from gitsync.cli.common.output import as_yaml, format_row, object_as_json, one_line, say, widths, write
from gitsync.errors import Forbidden, KindUnknown

if TYPE_CHECKING:
    from gitsync.cli.cluster.query import Query
    from gitsync.cli.common.kinds import Kind
    from gitsync.cluster import Cluster, WatchEvent


async def show(cluster: Cluster, kinds: Sequence[Kind], query: Query) -> None:
    """Print what is there now. Raises: NotFound for a name that is not there, KindUnknown."""
    found, left_out = [], []
    for kind in kinds:
        try:
            found.append((kind, await _objects(cluster, kind, query)))
        except (KindUnknown, Forbidden) as error:
            left_out.append(error)
    _say_left_out(left_out, kinds)
    objects = [manifest for _, manifests in found for manifest in manifests]
    if query.output in ("json", "yaml"):
        one = len(query.names) == 1 and len(objects) == 1
        _print_data(objects[0] if one else {"apiVersion": "v1", "kind": "List", "items": objects}, query)
    elif objects:
        shown = [
            _Table(kind, query, prefixed=len(kinds) > 1).render(manifests) for kind, manifests in found if manifests
        ]
        write("\n".join(shown))
    else:
        where = f"in namespace {query.namespace}" if query.namespace else "in any namespace"
        say(f"nothing found {where}")


async def watch_changes(cluster: Cluster, kinds: Sequence[Kind], query: Query) -> None:
    """Print what is there, then every change, until cancelled."""
    changes: asyncio.Queue[tuple[Kind, WatchEvent]] = asyncio.Queue()
    async with AsyncExitStack() as stack:
        tables = {}
        left_out: list[KindUnknown | Forbidden] = []
        for kind in kinds:
            try:
                # A watch of a kind that the cluster does not serve would wait without a word.
                await cluster.resource(kind.group, kind.kind)
                live = await stack.enter_async_context(
                    cluster.watch(kind.group, kind.kind, namespace=query.namespace, labels=query.labels)
                )
            except (KindUnknown, Forbidden) as error:
                left_out.append(error)
                continue
            live.subscribe(lambda event, kind=kind: changes.put_nowait((kind, event)))  # type: ignore[misc]
            present = [manifest for _, manifest in sorted(live.items()) if query.wants(manifest)]
            tables[kind] = _Table(kind, query, prefixed=len(kinds) > 1)
            _print_first(tables[kind], present, query)
        _say_left_out(left_out, kinds)
        while True:
            kind, event = await changes.get()
            if query.wants(event.manifest):
                _print_change(tables[kind], event, query)


def _say_left_out(errors: Sequence[KindUnknown | Forbidden], kinds: Sequence[Kind]) -> None:
    """Of several kinds some may be missing from what is shown. Those that the user may not read are named on stderr;
    those that the cluster does not serve are not. Raises: the first error when no kind is left."""
    if errors and len(errors) == len(kinds):
        raise errors[0]
    for error in errors:
        if isinstance(error, Forbidden):
            say(f"left out: {error.message}")


class _Table:
    """The table of one kind: which columns, and how wide they were when the first rows were printed."""

    def __init__(self, kind: Kind, query: Query, *, prefixed: bool) -> None:
        self._kind = kind
        self._wide = query.output == "wide"
        self._namespaces = not query.namespace
        self._header = query.header
        self._prefix = f"{kind.kind.lower()}/" if prefixed else ""
        self.headers = [*(["NAMESPACE"] if self._namespaces else []), *kind.columns.headers(wide=self._wide)]
        self.widths = [len(header) for header in self.headers]

    def row(self, manifest: Manifest) -> list[str]:
        name, *rest = self._kind.columns.row(manifest, wide=self._wide)
        namespace = [manifest["metadata"].get("namespace", "")] if self._namespaces else []
        return [one_line(cell) for cell in (*namespace, self._prefix + name, *rest)]

    def render(self, manifests: list[Manifest]) -> str:
        """Header and rows; later single rows keep these columns."""
        rows = [self.row(manifest) for manifest in manifests]
        self.widths = widths([self.headers, *rows])
        shown = [self.headers, *rows] if self._header else rows
        return "".join(format_row(row, self.widths) + "\n" for row in shown)


def _print_first(shown: _Table, manifests: list[Manifest], query: Query) -> None:
    if query.output in ("json", "yaml"):
        for manifest in manifests:
            _print_data(manifest, query)
    else:
        write(shown.render(manifests))


def _print_change(shown: _Table, event: WatchEvent, query: Query) -> None:
    if query.output in ("json", "yaml"):
        _print_data(event.manifest, query)
        return
    row = shown.row(event.manifest)
    if event.type == "DELETED":
        row[-1] = "(deleted)"
    write(format_row(row, shown.widths) + "\n")


async def _objects(cluster: Cluster, kind: Kind, query: Query) -> list[Manifest]:
    if query.names and query.namespace:
        keys = [ObjectKey(kind.group, kind.kind, query.namespace, name) for name in query.names]
        found = [(await find(cluster, key)).manifest for key in keys]
    else:
        found = await cluster.list(kind.group, kind.kind, namespace=query.namespace, labels=query.labels)
        found.sort(key=ObjectKey.of)
    return [without_managed_fields(manifest) for manifest in found if query.wants(manifest)]


def _print_data(value: Any, query: Query) -> None:
    write(object_as_json(value) if query.output == "json" else "---\n" * query.watch + as_yaml(value))
