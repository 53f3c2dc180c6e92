"""Reading the settings: file, then environment, then flags, with errors that say which of them is wrong, and where."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gitsync.errors import SettingsError
from gitsync.settings.infos import SettingInfo, settings_infos
from gitsync.settings.model import ENV_PREFIX, Settings

_MAX_FILE = 1024 * 1024


def load(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The settings, from ``config`` (or the file ``GITSYNC_CONFIG`` names), the environment and ``flags`` (by setting's
    name; None means not given).

    Raises: SettingsError, naming every setting that cannot be used, and where it was given.
    """
    named = os.environ.get(f"{ENV_PREFIX}CONFIG", "")
    file = config or (Path(named) if named else None)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    from_file, places = _read_file(file) if file else ({}, {})
    from_env = EnvSettingsSource(Settings)()
    infos = {info.name: info for info in settings_infos()}
    places |= {name: infos[name].env for name in from_env}
    places |= {name: infos[name].flag for name in given}
    try:
        return Settings(**{**from_file, **from_env, **given})
    except ValidationError as error:
        raise _settings_error(error, places) from None


def _read_file(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the file, and for each where it stands."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}", setting="config") from error
    if len(data) > _MAX_FILE:
        raise SettingsError(f"{file} is larger than 1 MiB; that is not a file of settings", setting="config")
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        content = yaml.load(data)
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise SettingsError(f"{file}{_yaml_problem(error)}", setting="config") from None
    if content is None:
        return {}, {}
    if not isinstance(content, CommentedMap):
        raise SettingsError(f"{file}: settings are written as `name: value`", setting="config")
    return _known(file, content)


def _yaml_problem(error: Exception) -> str:
    """Without the lines around the problem, which may hold what nobody should see."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        problem = str(error.problem or error.context or "").splitlines()[0].partition(" with value ")[0]
        return f":{mark.line + 1}:{mark.column + 1}: {problem}"
    return ": not a YAML file that can be read"


def _known(file: Path, content: CommentedMap) -> tuple[dict[str, Any], dict[str, str]]:
    infos = {info.name: info for info in settings_infos()}
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for key, value in content.items():
        line, column = content.lc.key(key)
        place = f"{file}:{line + 1}:{column + 1}"
        name = str(key).replace("-", "_")
        if name not in infos:
            raise SettingsError(
                f"{place}: unknown setting {str(key)!r}", setting=str(key), hint=_suggestion(name, infos)
            )
        if infos[name].secret:
            raise SettingsError(
                f"{place}: {name} must not stand in a file",
                setting=name,
                hint=f"put it into the environment as {infos[name].env}, or name a file with {name}_file",
            )
        if value is not None:  # `branch:` with nothing behind it
            values[name] = value
            places[name] = place
    return values, places


def _suggestion(name: str, infos: Mapping[str, SettingInfo]) -> str:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
    near = get_close_matches(snake, infos, n=1, cutoff=0.7)
    return f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"


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
