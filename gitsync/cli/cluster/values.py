"""Values files that are named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gitsync.errors import SettingsError, ValuesError

#: Bytes. Helm stores values in its record of the release, a Secret, and a Secret may be no larger.
_MAX_FILE = 1024 * 1024


def read_files(files: Sequence[Path]) -> dict[str, Any]:
    """The values of all files, later ones over earlier ones, read and merged as Helm's ``--values``.

    Raises: SettingsError for a file that cannot be read, or holds no values.
    """
    values: dict[str, Any] = {}
    if not files:
        return values
    from gitsync.charts import merge_values, read_values

    for file in files:
        try:
            values = merge_values(values, read_values(_text(file)))
        except (OSError, ValueError) as error:
            raise SettingsError(f"{file} cannot be read: {error}", setting="--values") from error
        except ValuesError as error:
            raise SettingsError(f"{file} holds no values: {error.message}", setting="--values") from error
    return values


def _text(file: Path) -> str:
    with file.open(encoding="utf-8") as stream:
        text = stream.read(_MAX_FILE + 1)
    if len(text) > _MAX_FILE:
        raise ValueError("it is too large for values")
    return text
