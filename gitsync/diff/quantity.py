"""Kubernetes quantities (``500m``, ``1Gi``, ``2e3``), compared by what they are worth.

The official client's parse_quantity does the same arithmetic, and a test holds this one against it. It is not used here
since importing it brings the whole client (0.3 s of processor time, 500 modules), without which commands that need no
cluster get along, and since it takes what Kubernetes refuses (``1K``, ``1_000``, ``NaN``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

_QUANTITY = re.compile(r"([+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40}))(?:([eE][+-]?\d{1,3})|([KMGTPE]i|[numkMGTPE]))?")
_SCALES: Final[dict[str | None, Decimal]] = {
    None: Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal("1e3"),
    "M": Decimal("1e6"),
    "G": Decimal("1e9"),
    "T": Decimal("1e12"),
    "P": Decimal("1e15"),
    "E": Decimal("1e18"),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}
#: Maps whose values are quantities, whatever their keys: resources, capacities, quotas, limit ranges.
_MAPS: Final = frozenset(
    {"limits", "requests", "capacity", "allocatable", "allocatedResources", "hard", "overhead", "podFixed"}
    | {"max", "min", "default", "defaultRequest", "maxLimitRequestRatio"}
)
#: Fields that are quantities themselves.
_FIELDS: Final = frozenset({"sizeLimit", "averageValue", "divisor"})


def is_quantity(path: Sequence[str | int]) -> bool:
    """Whether the field at ``path`` is a quantity in Kubernetes' API: told by place, for an environment variable that
    reads "1" and one that reads "1000m" are different.
    """
    if not path or isinstance(path[-1], int):
        return False
    if path[-1] in _FIELDS or (len(path) > 1 and path[-2] in _MAPS):
        return True
    return path[-1] == "value" and len(path) > 1 and path[-2] == "target"  # of an autoscaler's metric


def same_quantity(one: Any, other: Any) -> bool:
    """Whether both are quantities, and equal: ``1000m`` and ``1``, ``1Gi`` and ``1024Mi``, 0.5 and ``500m``."""
    value = parse_quantity(one)
    return value is not None and value == parse_quantity(other)


def parse_quantity(value: Any) -> Decimal | None:
    """The worth of a quantity, written as a string or a number; None when it is not one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return _parse(value if isinstance(value, str) else repr(value))


@lru_cache(maxsize=4096)
def _parse(text: str) -> Decimal | None:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    return Decimal(number + (exponent or "")) * _SCALES[suffix]
