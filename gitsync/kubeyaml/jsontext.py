"""JSON as apimachinery's decoder reads it: kubectl tries it first on what begins with a brace, and YAML after it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from gitsync.depth import is_deeper
from gitsync.errors import YamlError
from gitsync.kubeyaml.compose import compose
from gitsync.kubeyaml.documents import refuse_many_values
from gitsync.kubeyaml.libyaml import error_at
from gitsync.kubeyaml.resolve import json_number

_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_INT64: Final = 2**63


class NotJson(Exception):
    """It is no JSON; as YAML it may still be readable. ``explained`` is the error to show if it is not; None where it
    does not look as if JSON was meant."""

    def __init__(self, explained: YamlError | None) -> None:
        super().__init__()
        self.explained = explained


def may_be_json(text: str) -> bool:
    """Whether kubectl would try JSON."""
    return text[:1] == "{" or text.lstrip()[:1] == "{"


def parse(text: str, *, unique_keys: bool, first_line: int = 1) -> dict[str, Any]:
    """The object that is all of ``text``, numbers and broken surrogates as Kubernetes keeps them.

    Raises: NotJson; YamlError for over MAX_JSON_VALUES values, for numbers that are too large and, when
    ``unique_keys``, for duplicate keys.
    """
    refuse_many_values(text)
    try:
        value: dict[str, Any] = json.loads(
            text,
            object_pairs_hook=_unique if unique_keys else None,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except _DuplicateKey as duplicate:
        raise _duplicate_error(text, duplicate.key, first_line) from None
    except json.JSONDecodeError as error:
        meant = text.lstrip()[1:].lstrip()[:1] == '"'
        raise NotJson(error_at(text, error.pos, f"not valid JSON: {error.msg}") if meant else None) from None
    except (RecursionError, ValueError):
        raise NotJson(None) from None
    if is_deeper(value):
        raise NotJson(None)
    return _without_surrogates(value) if _SURROGATE.search(text) else value


def readable_as_yaml(text: str) -> str:
    """JSON with the escapes that YAML does not know replaced by others of the same length, for finding places."""
    return _SURROGATE.sub(r"\\u00", text)


class _DuplicateKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        raise _DuplicateKey(next(key for index, key in enumerate(keys) if key in keys[:index]))
    return value


def _duplicate_error(text: str, key: str, first_line: int) -> YamlError:
    try:
        compose(readable_as_yaml(text), unique_keys=True, first_line=first_line)
    except YamlError as error:
        return error
    return YamlError(f"the key {key!r} is given twice")


def _integer(text: str) -> int | float:
    """64 bits, beyond them a floating point number."""
    if len(text) < 20 and -_INT64 <= (value := int(text)) < _INT64:
        return value
    return _float(text)


def _float(text: str) -> int | float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise YamlError("a number too large for 64 bits, with or without a fraction")
    return json_number(value)


def _constant(_: str) -> None:
    raise ValueError


def _without_surrogates(value: Any) -> Any:
    """Go's replacement character for halves of surrogate pairs, which cannot be written as UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(child) for child in value]
    return value
