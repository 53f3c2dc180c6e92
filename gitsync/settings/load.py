"""Reading the settings: file, then environment, then flags, with errors that say which of them is wrong, and where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from gitsync.errors import SettingsError
from gitsync.settings.infos import settings_infos
from gitsync.settings.settings import ENV_PREFIX, Settings


def load(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The settings, from ``config`` (or the file ``GITSYNC_CONFIG`` names), the environment and ``flags`` (by setting's
    name; None means not given).

    Raises: SettingsError, naming every setting that cannot be used, and where it was given.
    """
    file = config_file(config)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    from_file: dict[str, Any] = {}
    places: dict[str, str] = {}
    if file is not None:
        from gitsync.settings.file import read_file

        from_file, places = read_file(file)
    from_env = EnvSettingsSource(Settings)()
    infos = {info.name: info for info in settings_infos()}
    places |= {name: infos[name].env for name in from_env}
    places |= {name: infos[name].flag for name in given}
    try:
        return Settings(**{**from_file, **from_env, **given})
    except ValidationError as error:
        raise _settings_error(error, places) from None


def config_file(given: Path | None = None) -> Path | None:
    """The file that settings are read from: the one given, else what ``GITSYNC_CONFIG`` names; None without either."""
    named = os.environ.get(f"{ENV_PREFIX}CONFIG", "")
    return given or (Path(named) if named else None)


def _settings_error(error: ValidationError, places: Mapping[str, str]) -> SettingsError:
    problems = []
    names = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        message = item["msg"].removeprefix("Value error, ")
        about = [name] if name else [word for word in message.split() if word in Settings.model_fields]
        where = ", ".join(places[setting] for setting in about if setting in places)
        problems.append((f"{name}: " if name else "") + message + (f" ({where})" if where else ""))
        names.extend(about)
    return SettingsError("; ".join(problems), setting=names[0], hint="docs/settings.md lists all settings")
