"""Values: merged as Helm merges values files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_values(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``override`` over ``base``: maps merge deeply, everything else, lists too, is replaced.

    A null stays: Helm takes it, when it meets the chart's defaults, as the wish to delete that default. Neither
    argument is changed; the result shares what it did not have to merge, so treat all three as frozen.
    """
    merged = dict(base)
    for key, value in override.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = merge_values(below, value) if both else value  # type: ignore[arg-type]  # narrowed by `both`
    return merged
