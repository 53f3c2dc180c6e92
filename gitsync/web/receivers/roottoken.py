"""The webhook of the agent's own repository, which needs no object: its token is in a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from watchfiles import awatch

from gitsync.defects import outliving
from gitsync.errors import SettingsError
from gitsync.web.receivers.delivery import Delivery, Proved, Refusal
from gitsync.web.receivers.routes import Route, Routes, path_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RootToken:
    """A webhook by the token in ``file``, which ``read`` gives; whoever signs with it has ``ask`` called. ``name`` and
    ``namespace`` are those of the sync. Headers tell GitHub, Gitea, GitLab, Bitbucket and ``generic-hmac`` apart."""

    routes: Routes
    file: Path
    read: Callable[[], str]
    name: str
    namespace: str
    ask: Callable[[], bool]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Take deliveries, by another token as soon as the file has one. Raises: SettingsError when it has none."""
        log.info("webhook of the repository", path=await self._put(await self._token()))
        try:
            async with outliving("webhook token", self._watch):
                yield
        finally:
            self.routes.drop(self)

    def __hash__(self) -> int:
        return id(self)

    async def _watch(self) -> None:
        # The folder, not the file: mounted Secrets put a new file in the old one's place.
        async for _ in awatch(self.file.parent, recursive=False):
            before = self.routes.path_of(self)
            try:
                path = await self._put(await self._token())
            except SettingsError as error:
                log.error("the webhook's token cannot be read, the one before stays", error=error)
                continue
            if path != before:
                log.info("webhook of the repository", path=path)

    async def _token(self) -> str:
        try:
            token = await asyncio.to_thread(self.read)
        except (OSError, ValueError) as error:
            what = f"the webhook's token cannot be read: {error}"
            raise SettingsError(what, setting="webhook_secret_file") from error
        if not token:
            raise SettingsError(f"{self.file} holds no token", setting="webhook_secret_file")
        return token

    async def _put(self, token: str) -> str:
        path = path_of(token.encode(), self.name, self.namespace)
        route = Route(f"{self.namespace}/{self.name}", "", self._ask, token.encode())
        if not self.routes.put(self, path, route):
            what = f"Receiver {self.namespace}/{self.name} has the same path: give it another token"
            raise SettingsError(what, setting="webhook_secret_file")
        await self.routes.publish()
        return path

    async def _ask(self, delivery: Delivery, proved: Proved) -> int | Refusal:
        return 1 if self.ask() else Refusal(503, "the repository is not polled yet")
