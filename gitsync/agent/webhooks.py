"""The webhooks of an agent, put together from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from gitsync.web.receivers.controller import Receivers
from gitsync.web.receivers.roottoken import RootToken

if TYPE_CHECKING:
    from gitsync.cel.expressions import Expressions
    from gitsync.cluster import Cluster, Informer
    from gitsync.runtime.recorder import EventRecorder
    from gitsync.runtime.schedule import Schedule
    from gitsync.settings import Settings
    from gitsync.sources.resolve.artifacts import SyncedRepository
    from gitsync.web.receivers.handlers import Webhooks


@asynccontextmanager
async def serving_webhooks(
    settings: Settings,
    cluster: Cluster,
    events: EventRecorder,
    schedule: Schedule,
    synced: SyncedRepository | None,
    webhooks: Webhooks,
    *,
    expressions: Expressions,
) -> AsyncIterator[dict[tuple[str, str], Informer]]:
    """Serve the Receivers of the cluster, and the token of the repository, on ``webhooks``, if it has a port. Yields
    the watches that takes, by group and kind. Raises: SettingsError for a token that cannot be read."""
    if not webhooks.has_port:
        yield {}
        return
    async with AsyncExitStack() as stack:
        routes, file = webhooks.routes, settings.webhook_secret_file
        receivers = Receivers(
            cluster, routes, events, schedule, cross_namespace=settings.cross_namespace_refs, expressions=expressions
        )
        watches = await stack.enter_async_context(receivers.serving())
        if file is not None and synced is not None:
            read = settings.read_webhook_secret
            root = RootToken(routes, file, read, settings.name, settings.namespace, synced.ask)
            await stack.enter_async_context(root.serving())
        yield watches
