"""YAML read by libyaml, which PyYAML brings along: ten times as fast as ruamel.yaml, and enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def documents(text: str | Path) -> list[Any]:
    """The documents of a text or file, without those that are empty."""
    read = text.read_text() if isinstance(text, Path) else text
    return [item for item in yaml.load_all(read, Loader=yaml.CSafeLoader) if item]
