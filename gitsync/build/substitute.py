"""Flux's substitution of variables in a built object: on the text of its YAML, so that a value may become a number, a
boolean or nothing at all (fluxcd/pkg, kustomize, "SubstituteVariables"). Pure.

Values may be secret: no error holds any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gitsync.build.envsubst import BadExpression, Unset, evaluate, parse
from gitsync.build.glob import Trimmer
from gitsync.build.spec import BuildSpec
from gitsync.text import MASK

#: The label or annotation that keeps an object as it is.
DISABLED_KEY: Final = "kustomize.toolkit.fluxcd.io/substitute"
DISABLED: Final = "disabled"
_PART_OF, _FLUX = "app.kubernetes.io/part-of", "flux"
#: An object without any of these in its text is never exempt from substitution: see ``is_disabled``.
MARKS: Final = (DISABLED_KEY, f"{_PART_OF}: {_FLUX}")
_NAME: Final = re.compile(r"[_A-Za-z][_A-Za-z0-9]*")
_EXPRESSION: Final = re.compile(rb"\$\{#?(\w*)")
#: Values shorter than this are masked only where they stand alone: "1" is in every other word.
_SHORT: Final = 4


class NotSubstituted(Exception):
    """What keeps the variables of an object from being replaced. ``variable`` is the one that it is about, "" when that
    cannot be told. Holds no value."""

    def __init__(self, message: str, variable: str = "") -> None:
        super().__init__(message)
        self.variable = variable


@dataclass(frozen=True)
class Substituted:
    """The text with the values in it, and those values."""

    text: str
    values: tuple[str, ...] = ()

    def masked(self, message: str) -> str:
        """A message about the text without the values."""
        for value in sorted(self.values, key=len, reverse=True):
            if len(value) < _SHORT:
                message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, message)
            else:
                message = message.replace(value, MASK)
        return message


class Variables:
    """The variables of one build."""

    def __init__(self, spec: BuildSpec) -> None:
        self._strict = spec.strict_substitution
        # A value with line feeds would end the line of YAML that it is put into, so Flux takes them out.
        self._values = {name: value.replace("\n", "") for name, value in (spec.variables or {}).items()}
        self._trimmer = Trimmer()
        self._bytes = {name: value.encode("utf-8", "surrogateescape") for name, value in self._values.items()}

    def bad_names(self) -> list[str]:
        """The names that Flux does not take; it then replaces nothing at all."""
        return sorted(name for name in self._values if not _NAME.fullmatch(name))

    def substituted(self, text: str) -> Substituted:
        """A document with its variables replaced. Raises: NotSubstituted."""
        if "$" not in text:
            return Substituted(text)
        try:
            template = parse(text)
            result = evaluate(template, self._bytes, self._trimmer, strict=self._strict)
        except Unset as error:
            raise NotSubstituted(f"{error}", error.name) from None
        except BadExpression as error:
            raise NotSubstituted(f"a variable cannot be replaced: {error}", _name_at(text, error.offset)) from None
        try:
            decoded = result.decode()
        except UnicodeDecodeError:
            raise NotSubstituted("what comes out of the substitution is no UTF-8: a character was cut in two") from None
        return Substituted(decoded, self._used(template.names))

    def _used(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(value for name in names if (value := self._values.get(name)))


def is_disabled(value: object) -> bool:
    """Whether an object is exempt from substitution: by its label or annotation, or as a CustomResourceDefinition of
    Flux itself, which speaks of ``${var}`` in descriptions (today's have the annotation, those of older releases do
    not)."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(metadata, dict):
        return False
    marks = [mapping for field in ("labels", "annotations") if isinstance(mapping := metadata.get(field), dict)]
    if any(mapping.get(DISABLED_KEY) == DISABLED for mapping in marks):
        return True
    of_flux = any(mapping.get(_PART_OF) == _FLUX for mapping in marks)
    return of_flux and value.get("kind") == "CustomResourceDefinition"


def line_of(text: str, variable: str) -> int:
    """The line of a text, counted from 0, that uses a variable; -1 when none does."""
    match = re.search(rf"\$\{{#?{re.escape(variable)}(?!\w)", text) if variable else None
    return text.count("\n", 0, match.start()) if match is not None else -1


def _name_at(text: str, offset: int) -> str:
    match = _EXPRESSION.match(text.encode("utf-8", "surrogateescape"), offset)
    return match[1].decode() if match is not None else ""
