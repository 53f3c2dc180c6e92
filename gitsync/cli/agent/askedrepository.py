"""The repository, as pages ask about it: by the same previews as ``gitsync plan`` and ``gitsync diff`` show."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gitsync.settings import Settings
from gitsync.web.ui.questions import Heads

if TYPE_CHECKING:
    from gitsync.preview.plan import Preview

_BRANCHES = "refs/heads/"


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

    async def plan(self, branch: str) -> Preview:
        """See Repository."""
        found: Preview = await (await _previews()).preview(self.settings, branch)
        return found

    async def heads(self) -> Heads:
        """See Repository."""
        from gitsync.agent.parts import open_mirror
        from gitsync.git.reference import HEAD

        await _previews()
        async with open_mirror(self.settings) as mirror:
            commit, refs = await mirror.head(), await mirror.refs({HEAD, f"{_BRANCHES}*"})
            followed = str(mirror.source.reference) if self.settings.branch else f"branch {mirror.default_branch}"
        branches = {name.removeprefix(_BRANCHES): found for name, found in refs.items() if name.startswith(_BRANCHES)}
        return Heads(followed.replace("`", ""), commit, branches)


async def _previews() -> Any:
    """What takes a second to import is imported when it is first asked for, and holds nobody up."""
    return await asyncio.to_thread(importlib.import_module, "gitsync.preview.compose")
