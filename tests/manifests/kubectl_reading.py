"""What kubectl makes of a file: the oracle of these tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gitsync.manifests import DesiredObject
from tests.controlplane.cluster import Cli


def objects_of_kubectl(kubectl: Cli, file: Path) -> list[dict[str, Any]]:
    """The objects that `kubectl create` would send, in the order of the file."""
    printed = kubectl("create", "--dry-run=client", "--validate=false", "-o", "json", "-f", file)
    objects = []
    decoder, position = json.JSONDecoder(parse_int=_number), 0
    while position < len(printed):
        found, position = decoder.raw_decode(printed, position)
        objects.append(found)
        position += len(printed[position:]) - len(printed[position:].lstrip())
    return objects


def _number(text: str) -> int | float:
    """Beyond 64 bits both sides hold a floating point number, which kubectl may print without an exponent."""
    value = int(text)
    return value if -(2**63) <= value < 2**64 else float(value)


def as_kubectl_prints(item: DesiredObject) -> dict[str, Any]:
    """Our object with the one field that kubectl fills in."""
    metadata = {"namespace": "default", **item.manifest["metadata"]}
    return {**item.manifest, "metadata": metadata}
