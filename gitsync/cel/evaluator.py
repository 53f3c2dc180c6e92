"""CEL, evaluated: ``expressions`` asks for it in a bounded child process (``gitsync.runtime.child``), never elsewhere.

Expressions are anybody's. The library's evaluator knows no bounds, and its parser overflows the stack on some texts, so
the process has bounds instead.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from functools import lru_cache
from typing import Any

_KEPT = 256
#: Names that a macro binds: ``list.exists(item, item > 1)``.
_BOUND = re.compile(r"\.\s*\w+\(\s*([A-Za-z_]\w*)\s*,")
_SYNTAX_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDEFINED = re.compile(r"Undefined variable or function: '([^']*)'")


def compile_expression(asked: Any, blobs: list[bytes]) -> tuple[Any, list[bytes]]:
    """True, or what is wrong with ``text``; see ``Engine.compiles`` for ``names``."""
    return _engine().compiles(asked["text"], asked["names"]), []


def evaluate_expression(asked: Any, blobs: list[bytes]) -> tuple[Any, list[bytes]]:
    """The boolean that comes out of ``text``, or why none does."""
    return _engine().evaluate(asked["text"], asked["variables"], asked["named"]), []


def evaluate_each(asked: Any, blobs: list[bytes]) -> tuple[Any, list[bytes]]:
    """The same for each of ``values`` of the variable ``name``."""
    return _engine().evaluate_each(asked["text"], asked["variables"], asked["name"], asked["values"]), []


def evaluate_text(asked: Any, blobs: list[bytes]) -> tuple[Any, list[bytes]]:
    """True and the string that comes out of ``text``, or False and why none does."""
    return _engine().evaluate_text(asked["text"], asked["variables"]), []


class Engine:
    """The library, imported without its command line, which would take half a second and twice the memory."""

    def __init__(self) -> None:
        sys.modules["cel.cli"] = types.ModuleType("cel.cli")
        import cel
        from cel import stdlib

        self._cel = cel
        self._add_functions = stdlib.add_stdlib_to_context
        self._compile = lru_cache(maxsize=_KEPT)(cel.compile)

    def compiles(self, text: str, names: list[str]) -> bool | str:
        """True, or what is wrong. ``names`` are the only variables there will be; an empty list allows any."""
        try:
            used = set(self._compile(text).variables())
        except BaseException as error:  # a panic of the library is no Exception
            return _syntax(str(error))
        unknown = sorted(used - set(names) - set(_BOUND.findall(text))) if names else []
        return f"there is no variable {unknown[0]}, only {' and '.join(names)}" if unknown else True

    def evaluate(self, text: str, variables: dict[str, Any], named: list[list[str]]) -> bool | str:
        """The boolean that comes out, or why none does. ``named`` are names and expressions, whose values are
        ``vars`` for those behind them."""
        return _truth(*self._value(text, variables, named))

    def evaluate_each(self, text: str, variables: dict[str, Any], name: str, values: list[Any]) -> list[bool | str]:
        """The same for each of ``values``; the other variables are taken in once."""
        context = self._cel.Context(variables=variables)
        self._add_functions(context)
        found = []
        for value in values:
            context.add_variable(name, value)
            found.append(_truth(*self._done(lambda: self._compile(text).execute(context))))
        return found

    def evaluate_text(self, text: str, variables: dict[str, Any]) -> tuple[bool, str]:
        """Whether a string comes out; that one, or why none does."""
        done, value = self._value(text, variables, [])
        if done and not isinstance(value, str):
            return False, f"gives {_kind(value)}, not a string"
        return done, str(value)

    def _value(self, text: str, variables: dict[str, Any], named: list[list[str]]) -> tuple[bool, Any]:
        """Whether something comes out; that, or why nothing does."""

        def execute() -> Any:
            known = {**variables, "vars": {}} if named else variables
            for name, expression in named:
                value = self._execute(expression, known)
                known = {**known, "vars": {**known["vars"], name: value}}
            return self._execute(text, known)

        return self._done(execute)

    @staticmethod
    def _done(execute: Callable[[], Any]) -> tuple[bool, Any]:
        try:
            return True, execute()
        except KeyError as error:
            return False, f"no such key: {error.args[0] if error.args else ''}"
        except BaseException as error:
            undefined = _UNDEFINED.match(str(error))
            unknown = f"no such field or function: {undefined.group(1)}" if undefined else ""
            return False, unknown or str(error) or type(error).__name__

    def _execute(self, text: str, variables: dict[str, Any]) -> Any:
        context = self._cel.Context(variables=variables)
        self._add_functions(context)
        return self._compile(text).execute(context)


def _syntax(text: str) -> str:
    """The first complaint of the parser, with its place in the expression."""
    found = _SYNTAX_ERROR.search(text)
    if found is None:
        return text
    line, column, words = found.groups()
    return f"{words.partition(' expecting {')[0]} at line {line}, column {column}"


def _truth(done: bool, value: Any) -> bool | str:
    if not done:
        return str(value)
    return value if isinstance(value, bool) else f"gives {_kind(value)}, not true or false"


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        str: "a string",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a map",
        type(None): "null",
    }
    return names.get(type(value), "another type")


@lru_cache(maxsize=1)
def _engine() -> Engine:
    return Engine()
