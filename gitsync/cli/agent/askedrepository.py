"""The repository, as pages ask about it: by the same previews as ``gitsync plan`` and ``gitsync diff`` show."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitsync.settings import Settings

if TYPE_CHECKING:
    from gitsync.preview.plan import Preview


@dataclass(frozen=True)
class AskedRepository:
    """That of the settings, read with the credentials that they name."""

    settings: Settings

    @property
    def url(self) -> str:
        """See Repository of ``gitsync.web.ui``."""
        from gitsync.git import redacted_url

        return redacted_url(self.settings.repo)

    async def difference(self, old: str, new: str) -> Preview:
        """See Repository."""
        found: Preview = await (await _previews()).commit_difference(self.settings, old, new)
        return found


async def _previews() -> Any:
    """What takes a second to import is imported when it is first asked for, and holds nobody up."""
    return await asyncio.to_thread(importlib.import_module, "gitsync.preview.compose")
