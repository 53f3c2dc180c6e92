"""Kubernetes' own YAML parser. Only texts that were found within bounds may come here: a Go stack that overflows takes
the whole process with it."""

from __future__ import annotations

import re
from functools import lru_cache
from sys import intern
from typing import Any, Final

import helm_python

#: First characters of plain scalars that may be something else than text (goyaml's resolve table).
_MAY_RESOLVE: Final = "yYnNtTfFoO~0123456789+-."
_NUMBER: Final = re.compile(r"[-+]?[0-9._][0-9A-Za-z._+-]*")
_WORDS: Final = frozenset(("y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", ""))


class GoyamlRefusal(Exception):
    """The parser's own words. They may quote the document, so they are never shown."""


def mapping(text: str) -> dict[str, Any]:
    """A document whose root is a mapping, as JSON. Its integers beyond 2^53 have lost digits, since Helm reads values
    as floating point numbers.

    Raises: GoyamlRefusal
    """
    try:
        value: dict[str, Any] = _shared(helm_python.values_from_yaml(text))
    except (helm_python.HelmError, RecursionError, ValueError) as error:
        raise GoyamlRefusal(str(error)) from None
    return value


def _shared(value: Any) -> Any:
    """The same, with one text for each name of a field, however many documents have it: all of them together are
    mostly a third of what a manifest takes in memory."""
    if isinstance(value, dict):
        return {intern(name): _shared(item) for name, item in value.items()}
    return [_shared(item) for item in value] if isinstance(value, list) else value


def is_text(plain: str) -> bool:
    """Whether an unquoted scalar is certain to be read as text."""
    return plain[:1] not in _MAY_RESOLVE or not (plain.lower() in _WORDS or _NUMBER.fullmatch(plain))


def plain_key(text: str) -> str:
    """What an unquoted scalar is called as a key: ``n`` is ``false``, ``0x10`` is ``16``. Integers keep all digits.

    Raises: GoyamlRefusal for null and for integers that do not fit 64 bits, which cannot be keys.
    """
    return text if is_text(text) else tagged_key("", text)


@lru_cache(maxsize=4096)
def tagged_key(tag: str, text: str) -> str:
    """As plain_key, with an explicit tag such as ``tag:yaml.org,2002:str``.

    Raises: GoyamlRefusal
    """
    written = f"? !<{tag}> {_quoted(text)}\n: 0" if tag else f"? {text}\n: 0"
    (key,) = mapping(written) or ("",)
    return key


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''").replace("\n", "\n\n") + "'"
