"""What the typed resources are built of: their base model, shared field types, and field errors in plain words."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, LiteralString, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from gitsync.api.duration import DURATION_PATTERN, TIMEOUT_PATTERN, parse_duration
from gitsync.depth import MAX_DEPTH, is_deeper
from gitsync.text import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

#: Where a field is inside its object: ``("spec", "dependsOn", 0, "name")``.
FieldPath = tuple[str | int, ...]

_MAX_SHOWN = 63
_DURATION = re.compile(DURATION_PATTERN)
_TIMEOUT = re.compile(TIMEOUT_PATTERN)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be used.

    ``message`` is complete in itself, a suggestion included; ``suggestion`` repeats the bare replacement ("" when there
    is none) for tools that can apply it.
    """

    path: FieldPath
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.message}" if self.path else self.message


def dotted(path: Iterable[str | int]) -> str:
    """``spec.dependsOn[0].name``; a key that is no plain word is quoted: ``metadata.labels["a.b/c"]``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif len(part) <= _MAX_SHOWN and part.replace("-", "").replace("_", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(shorten(part, _MAX_SHOWN))}]"
    return text


def camel_case(name: str) -> str:
    """A field's name as JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


class ApiModel(BaseModel):
    """Base of all resources and their parts: frozen, camelCase outside, strict about types, deaf to unknown fields.

    Unknown fields are left to ``check``: what the API server hands out must be readable also when a newer CRD wrote it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", alias_generator=camel_case, defer_build=True)


def cel_rule(rule: str, message: str) -> ConfigDict:
    """A model's configuration that adds a CEL rule to its CRD schema. ``check`` says the same in its own way."""
    return cel_rules((rule, message))


def cel_rules(*rules: tuple[str, str]) -> ConfigDict:
    """The same with several rules."""
    validations: list[JsonValue] = [{"rule": rule, "message": message} for rule, message in rules]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": validations})


def _duration(value: object) -> float:
    return _matched_duration(value, _DURATION, "must be a duration such as 5m or 1h30m")


def _timeout(value: object) -> float:
    return _matched_duration(value, _TIMEOUT, "must be a duration in minutes or seconds such as 60s")


def _matched_duration(value: object, pattern: re.Pattern[str], words: LiteralString) -> float:
    if isinstance(value, str) and pattern.fullmatch(value):
        try:
            return parse_duration(value)
        except ValueError:  # longer than Go can hold
            pass
    raise PydanticCustomError("duration", words)


#: Seconds, written as a Go duration.
Duration = Annotated[float, BeforeValidator(_duration), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
#: As Duration, for the timeouts of sources, which the API bounds below an hour's unit.
Timeout = Annotated[float, BeforeValidator(_timeout), WithJsonSchema({"type": "string", "pattern": TIMEOUT_PATTERN})]

Name = Annotated[str, StringConstraints(min_length=1, max_length=253)]
Namespace = Annotated[str, StringConstraints(min_length=1, max_length=63)]
StringMap = dict[str, str]
_T = TypeVar("_T")
#: A list of JSON, kept as a tuple (which strict mode alone would refuse).
Items = Annotated[tuple[_T, ...], Field(strict=False)]


def _not_too_deep(value: _T) -> _T:
    if is_deeper(value):
        raise PydanticCustomError("depth", "is nested more than {levels} levels deep", {"levels": MAX_DEPTH})
    return value


#: Of what is free-form: as deep as what is read out of Git may be.
NotTooDeep = AfterValidator(_not_too_deep)
#: Anything that JSON can hold; never looked into.
FreeForm = Annotated[Any, NotTooDeep, WithJsonSchema({"x-kubernetes-preserve-unknown-fields": True})]


class LocalReference(ApiModel):
    """An object of a known kind in the same namespace."""

    name: str = Field(description="Name of the object.")


class Selector(ApiModel):
    """Which objects of a release are meant; every field given must match."""

    group: str = Field("", description="API group of the objects; a regular expression.")
    version: str = Field("", description="API version of the objects; a regular expression.")
    kind: str = Field("", description="Kind of the objects; a regular expression.")
    name: str = Field("", description="Name of the objects; a regular expression.")
    namespace: str = Field("", description="Namespace of the objects; a regular expression.")
    label_selector: str = Field("", description="Label selector in the syntax of kubectl -l.")
    annotation_selector: str = Field("", description="As labelSelector, over annotations.")


#: Said of a string that does not match, by pattern.
_PATTERN_WORDS: dict[str, str] = {}


def words_for(pattern: str, words: str) -> str:
    """Registers what to say of a string that does not match ``pattern``; returns the pattern."""
    _PATTERN_WORDS[pattern] = words
    return pattern


def near_miss(name: object, known: Iterable[str]) -> str:
    """The known word that ``name`` was probably meant to be, or ""."""
    if not isinstance(name, str) or not 1 < len(name) <= _MAX_SHOWN:
        return ""
    words = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name.lower().replace("_", "").replace("-", ""), words, n=1, cutoff=0.7)
    return words[found[0]] if found else ""


def explain(error: ErrorDetails) -> FieldError:
    """One of pydantic's errors in plain words."""
    path: FieldPath = error["loc"]
    message, suggestion = _words(error["type"], error.get("input"), error.get("ctx", {}), error["msg"])
    return FieldError(path, message, suggestion)


def _words(kind: str, value: object, ctx: dict[str, Any], text: str) -> tuple[str, str]:
    if kind == "missing":
        return "is required", ""
    if kind == "string_type":
        return _string_wanted(value), ""
    if kind == "literal_error":
        return _choice_wanted(value, ctx["expected"])
    if kind == "string_pattern_mismatch":
        return _PATTERN_WORDS.get(ctx["pattern"], f"must match {ctx['pattern']}"), ""
    if kind == "string_too_short":
        return "must not be empty", ""
    if kind == "string_too_long":
        return f"must have at most {ctx['max_length']} characters; this has {len(str(value))}", ""
    if kind == "duration":
        meant = _duration_meant(value)
        return f"{text}, not {shown(value)}" + (f"; did you mean {meant}?" if meant else ""), meant
    if kind == "dict_type":  # perhaps somebody's values: nothing of them may be shown
        return f"must be a mapping, not {_kind_of(value)}", ""
    wanted = _WANTED.get(kind)
    return (f"must be {wanted}, not {shown(value)}", "") if wanted else (text, "")


_WANTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
    "tuple_type": "a list",
    "list_type": "a list",
}


def _string_wanted(value: object) -> str:
    # What stood in the file is gone (1.10 reads as 1.1), so there is no telling what to write in the quotes.
    hint = "; put it in quotes" if isinstance(value, bool | int | float) else ""
    return f"must be a string, not {shown(value)}{hint}"


def _choice_wanted(value: object, expected: str) -> tuple[str, str]:
    # pydantic writes the choices as: 'a', 'b' or 'c'
    choices = expected.replace(" or ", ", ").replace("'", "").split(", ")
    meant = near_miss(value, choices)
    message = f"must be {expected.replace(chr(39), '')}, not {shown(value)}"
    return (f"{message}; did you mean {meant}?" if meant else message), meant


def _duration_meant(value: object) -> str:
    """``60`` and ``"60"`` are probably seconds, ``5 min`` is 5m."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"{value}s"
    if not isinstance(value, str) or len(value) > _MAX_SHOWN:
        return ""
    number, unit = value.rstrip("abcdefghijklmnopqrstuvwxyz ").strip(), value.lstrip("0123456789. ")
    short = {"": "s", "sec": "s", "secs": "s", "second": "s", "min": "m", "mins": "m", "minute": "m", "hour": "h"}
    unit = short.get(unit.removesuffix("s"), unit) if unit not in short else short[unit]
    meant = f"{number}{unit}"
    return meant if meant != value and _DURATION.fullmatch(meant) else ""


def shown(value: object) -> str:
    """A value for a message: a scalar as JSON, cut short; of a list or mapping only what it is."""
    if isinstance(value, dict | list):
        return _kind_of(value)
    try:
        return shorten(json.dumps(value, ensure_ascii=False), _MAX_SHOWN)
    except (TypeError, ValueError):  # no JSON, or a number of thousands of digits
        return _kind_of(value)


def _kind_of(value: object) -> str:
    words = {dict: "a mapping", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return words.get(type(value), "a number")


def first_fault(error: ValidationError) -> str:
    """Where and how something foreign is not as its model has it; quotes nothing of it: it may be secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])
