"""The configuration file, watched: a change of it takes effect without a restart of the process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from watchfiles import awatch

from gitsync.errors import SettingsError
from gitsync.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file, and how to load the settings anew: file, environment and flags as at the start."""

    path: Path
    load: Callable[[], Settings]

    async def changed(self, current: Settings) -> Settings:
        """Wait until the file says something else than ``current``, and return that.

        What cannot be used is reported and left alone: the agent goes on with what it has.
        """
        # The folder, not the file: editors and mounted ConfigMaps put a new file in the old one's place.
        async for _ in awatch(self.path.parent, recursive=False):
            try:
                settings = self.load()
            except SettingsError as error:
                log.error("configuration cannot be used, going on with the one before", error=error)
                continue
            if settings != current:
                names = [
                    name for name in type(current).model_fields if getattr(settings, name) != getattr(current, name)
                ]
                log.info("configuration changed", settings=", ".join(sorted(names)))
                return settings
        return current
