"""Where each of a release's values comes from: the chart, ConfigMaps and Secrets, or the release itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey
from gitsync.charts import merge_values, read_values, set_value
from gitsync.release.values.compose import compose

#: The way to a value: names of maps, numbers in lists.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ValueSource:
    """``key`` is a ConfigMap or Secret and ``entry`` what of it is meant; None with "" for what the release says
    itself, None with "chart" for what its chart has."""

    key: ObjectKey | None = None
    entry: str = ""

    @property
    def is_secret(self) -> bool:
        """Whether the value comes out of a Secret."""
        return self.key is not None and self.key.kind == "Secret"


INLINE = ValueSource()
CHART = ValueSource(None, "chart")


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A value that is no map and no list, or an empty one, and where it comes from."""

    path: Path
    value: Any
    source: ValueSource


def sourced(release: HelmRelease, texts: Sequence[str | None], defaults: dict[str, Any]) -> list[SourcedValue]:
    """All values that the release is rendered with, those of the chart itself last. ``texts`` are what ``valuesFrom``
    names, None for what is not there or not to be read. Blocks: YAML is parsed.

    Raises: ValuesError for a reference that cannot be used.
    """
    optional = [item.model_copy(update={"optional": True}) for item in release.spec.values_from]
    spec = release.spec.model_copy(update={"values_from": tuple(optional)})
    composed = compose(release.model_copy(update={"spec": spec}), texts)
    sources = dict(_sources(release, texts))
    own = [SourcedValue(path, value, sources.get(path, INLINE)) for path, value in _leaves(composed)]
    given = {item.path for item in own}
    whole = _leaves(merge_values(defaults, composed))
    return own + [SourcedValue(path, value, CHART) for path, value in whole if path not in given]


def secret_paths(release: HelmRelease, texts: Sequence[str | None]) -> set[Path]:
    """The places of what comes out of Secrets. Blocks. Raises: ValuesError."""
    return {path for path, source in _sources(release, texts) if source.is_secret}


def _sources(release: HelmRelease, texts: Sequence[str | None]) -> Iterator[tuple[Path, ValueSource]]:
    """By place, in the order in which they win over each other."""
    for reference, key, text in zip(release.spec.values_from, release.value_sources(), texts, strict=True):
        if text is None:
            continue
        if reference.target_path is None:
            layer = read_values(text)
        else:
            layer = set_value({}, reference.target_path, text, literal=reference.literal)
        for path, value in _leaves(layer):
            if value is not None or reference.target_path is None:  # a list's places before the one that is set
                yield path, ValueSource(key, reference.values_key)
    for path, _ in _leaves(release.spec.values or {}):
        yield path, INLINE


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, (*path, str(name)))
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from _leaves(below, (*path, number))
    elif path:
        yield path, value
