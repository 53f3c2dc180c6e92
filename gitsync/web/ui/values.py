"""A release's values for reading: one line each, and without what looks like a secret. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from gitsync.api.helmrelease import HelmRelease
from gitsync.api.identity import ObjectKey, Origin
from gitsync.live.valuesources import Path
from gitsync.text import shorten

MASK: Final = "masked"
#: Lines that are shown, and characters of one.
MOST: Final = 500
_MOST_TEXT = 500
#: Names under which charts take what is not to be read over somebody's shoulder.
_SECRET = re.compile(
    r"pass(word|wd|phrase)|pass$|pwd|(?<!existing)secret(?!ref|name)|token|credential|api_?-?key|access_?-?key|private_?-?key"
    r"|connection_?-?string|dsn$|salt$|pepper$|licen[cs]e_?-?key",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Value:
    """One value: its path as Helm's ``--set`` names it, and as JSON what it is; "" with ``is_masked``. ``origin`` is
    the line that it is written in, "" where nobody has noted that."""

    path: str
    text: str
    is_masked: bool = False
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """Values that are elsewhere: the object, its key, and the path that they are put to ("" for all values)."""

    key: ObjectKey
    entry: str
    target: str
    optional: bool

    @property
    def is_secret(self) -> bool:
        """Whether nothing of it is shown."""
        return self.key.kind == "Secret"


def says_secret(name: str) -> bool:
    """Whether charts take under such a name what is not to be read over somebody's shoulder."""
    return _SECRET.search(name) is not None


def references(release: HelmRelease) -> tuple[Reference, ...]:
    """What ``valuesFrom`` names, in its order."""
    pairs = zip(release.spec.values_from, release.value_sources(), strict=True)
    return tuple(Reference(key, item.values_key, item.target_path or "", item.optional) for item, key in pairs)


def lines(values: dict[str, Any], origins: Mapping[Path, Origin] | None = None) -> tuple[tuple[Value, ...], int]:
    """The first values, and how many more there are; ``origins`` says where they are written."""
    written = {_named(path): str(origin) for path, origin in (origins or {}).items()}
    found = list(_flat(values, "", masked=False))
    shown = (replace(value, origin=written.get(value.path, "")) for value in found[:MOST])
    return tuple(shown), max(len(found) - MOST, 0)


def shown_value(path: Path, value: Any, *, masked: bool, origin: Origin | None = None) -> Value:
    """A value at a place; ``masked``: nothing of it is to be seen, nor is of what is called a secret."""
    found = _shown_value(path, value, masked=masked)
    return found if origin is None else replace(found, origin=str(origin))


def _named(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{_escaped(step)}" for step in path).removeprefix(".")


def _shown_value(path: Path, value: Any, *, masked: bool) -> Value:
    names = [step for step in path if isinstance(step, str)]
    hides = masked or any(map(says_secret, names))
    text = _named(path)
    if hides and (masked or _says_something(value)):
        return Value(text, "", is_masked=True)
    return Value(text, shorten(json.dumps(value, ensure_ascii=False), _MOST_TEXT))


def _flat(value: Any, path: str, *, masked: bool) -> Iterator[Value]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            hides = masked or says_secret(name)
            yield from _flat(below, f"{path}.{_escaped(name)}" if path else _escaped(name), masked=hides)
    elif isinstance(value, list) and value:
        for index, below in enumerate(value):
            yield from _flat(below, f"{path}[{index}]", masked=masked or _names_secret(below))
    elif masked and _says_something(value):
        yield Value(path, "", is_masked=True)
    else:
        yield Value(path, shorten(json.dumps(value, ensure_ascii=False), _MOST_TEXT))


def _says_something(value: Any) -> bool:
    """Whether a scalar may be a secret: a switch is none."""
    return value not in ("", None) and not isinstance(value, bool | dict | list)


def _names_secret(item: Any) -> bool:
    """Whether an entry such as an environment variable goes by a name that says secret."""
    return isinstance(item, dict) and isinstance(item.get("name"), str) and says_secret(item["name"])


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace(".", "\\.")
