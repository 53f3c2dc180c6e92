"""Values out of several texts, in their order, under those that are given. Pure, but that the Helm SDK reads paths.

As Flux composes them (helm-controller, ChartValuesFromReferences): maps merge deeply, lists replace, and the given
values win over all, also over a place that is named. No message holds anything of what was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gitsync.errors import ValuesError
from gitsync.helm.values import merge_values, read_values, set_value
from gitsync.text import leaves, unusual_keys


class Part(NamedTuple):
    """A text with values, or (``target_path``) with one value for a place; ``name`` is what messages call it,
    ``is_secret`` that what it holds is."""

    name: str
    text: str
    target_path: str | None = None
    literal: bool = False
    is_secret: bool = False


def composed(parts: Iterable[Part], inline: Mapping[str, Any]) -> dict[str, Any]:
    """The values. Blocks. Raises: ValuesError for a part that cannot be used."""
    values: dict[str, Any] = {}
    for part in parts:
        values = _added(values, part, inline)
    return merge_values(values, inline)


def secrets_of(parts: Iterable[Part]) -> set[str]:
    """Each scalar that is out of what is secret, and each key that may be one. Blocks. Raises: ValuesError."""
    found: set[str] = set()
    for part in parts:
        if part.is_secret:
            values = part.text if part.target_path else read_values(part.text)
            found.update(leaves(values), unusual_keys(values))
    return found


def not_shown(shown: str, secrets: Iterable[str]) -> frozenset[str]:
    """Without those that are in a text that anybody sees. Takes time that grows with both."""
    return frozenset(secret for secret in secrets if secret not in shown)


def _added(values: dict[str, Any], part: Part, inline: Mapping[str, Any]) -> dict[str, Any]:
    # What the parser says may quote a secret, so it is not passed on.
    if part.target_path is None:
        try:
            return merge_values(values, read_values(part.text))
        except ValuesError:
            raise ValuesError(
                f"{part.name} holds no YAML mapping", hint="set targetPath when it is a single value"
            ) from None
    try:
        # As in Flux, a path may lead through lists and maps of the given values.
        return set_value(merge_values(values, inline), part.target_path, part.text, literal=part.literal)
    except ValuesError:
        raise ValuesError(
            f"{part.name} cannot be set at targetPath {part.target_path!r}",
            hint="the path or the value is not what helm --set takes; literal: true takes any value",
        ) from None
