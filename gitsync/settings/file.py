"""The file of settings. Apart from load.py, because reading YAML takes a while to import and most have no file."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from gitsync.errors import SettingsError
from gitsync.settings.infos import SettingInfo, settings_infos

_MAX_FILE = 1024 * 1024


def read_file(file: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of the file, and for each where it stands (``file:line:column``).

    Raises: SettingsError.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_FILE + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}", setting="config") from error
    if len(data) > _MAX_FILE:
        raise SettingsError(f"{file} is larger than 1 MiB; that is not a file of settings", setting="config")
    content = _parse(file, data)
    return _known(file, content) if content is not None else ({}, {})


def _parse(file: Path, data: bytes) -> CommentedMap | None:
    yaml = YAML(typ="rt", pure=True)
    yaml.allow_duplicate_keys = False
    try:
        content = yaml.load(data)
    except (YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise SettingsError(f"{file}{_yaml_problem(error)}", setting="config") from None
    if content is not None and not isinstance(content, CommentedMap):
        raise SettingsError(f"{file}: settings are written as `name: value`", setting="config")
    return content


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
