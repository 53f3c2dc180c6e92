"""``${var}`` and its functions, as Flux's fork of drone/envsubst reads and evaluates them (fluxcd/pkg, envsubst). Pure.

Lengths and offsets are those of UTF-8, as there; hence values are bytes on the way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gitsync.build.glob import Trimmer

#: Functions inside of each other's parameters.
MAX_DEPTH: Final = 100
#: Bytes of what comes out of one text.
MAX_RESULT: Final = 16 << 20

#: What is of interest outside of an expression.
_SPECIAL: Final = re.compile(rb"\$\$|\$\{")
_EOF: Final = ""


class Unset(Exception):
    """A variable that has no value is used without a default."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the variable {name} is not set, and has no default")
        self.name = name


class BadExpression(Exception):
    """What cannot be read, or evaluated within bounds. ``offset`` is where in the text's UTF-8 the expression begins;
    the message quotes nothing of it."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(slots=True)
class Expression:
    """``${name}``, or ``${name<operator>arguments}``."""

    name: str
    operator: str = ""
    arguments: list[bytes | Expression] = field(default_factory=list)


class Template(NamedTuple):
    """The parts of a text, in their order: literal ones and expressions, with where the expressions begin."""

    parts: tuple[bytes | Expression, ...]
    offsets: tuple[int, ...]

    @property
    def names(self) -> frozenset[str]:
        """The variables that it uses."""
        return frozenset(_names(self.parts))


def parse(text: str) -> Template:
    """The parts of a text, read once for all the times that it is evaluated: ``$$`` is a dollar, ``${`` begins an
    expression, and any other ``$`` is text.

    Raises: BadExpression for an expression that is not closed, that has no such function, or that is nested deeper than
    MAX_DEPTH; ``offset`` is where the outermost one begins.
    """
    data = text.encode("utf-8", "surrogateescape")
    parts: list[bytes | Expression] = []
    offsets: list[int] = []
    literal = bytearray()
    position = 0
    while (match := _SPECIAL.search(data, position)) is not None:
        literal += data[position : match.start()]
        position = match.end()
        if match[0] == b"$$":
            literal += b"$"
            continue
        if literal:
            parts.append(bytes(literal))
            offsets.append(match.start() - len(literal))
            literal.clear()
        reader = _Reader(data, position)
        try:
            parts.append(_function(reader, 1))
        except BadExpression as error:
            raise BadExpression(str(error), match.start()) from None
        offsets.append(match.start())
        position = reader.position
    literal += data[position:]
    if literal:
        parts.append(bytes(literal))
        offsets.append(len(data) - len(literal))
    return Template(tuple(parts), tuple(offsets))


def evaluate(template: Template, variables: Mapping[str, bytes], trimmer: Trimmer, *, strict: bool = True) -> bytes:
    """The text with the values in it. ``strict``: a variable that is not set and has no default is an error, otherwise
    it is empty.

    Raises: Unset, BadExpression.
    """
    pieces: list[bytes] = []
    size = 0
    for part, offset in zip(template.parts, template.offsets, strict=True):
        try:
            piece = part if isinstance(part, bytes) else _evaluated(part, variables, trimmer, strict)
        except BadExpression as error:
            raise BadExpression(str(error), offset) from None
        size += len(piece)
        if size > MAX_RESULT:
            raise BadExpression(f"more than {MAX_RESULT >> 20} MiB come out of the substitution", offset)
        pieces.append(piece)
    return b"".join(pieces)


def _names(parts: tuple[bytes | Expression, ...] | list[bytes | Expression]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Expression):
            yield part.name
            yield from _names(part.arguments)


Accept = Callable[[str, int], bool]


class _Reader:
    """Reads a text token by token. The original works on a buffer from which it takes out escape characters, and
    steps back by the width of the character it has seen last: so does this, since both can be noticed."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position
        self._width = 0
        self.token = b""

    def read(self) -> str:
        """The next character; "" at the end, and for a NUL, which the original takes for the end."""
        if self.position >= len(self._data):
            self._width = 0
            return _EOF
        first = self._data[self.position]
        width = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        character = self._data[self.position : self.position + width].decode("utf-8", "replace")
        if len(character) != 1 or character == "\ufffd":
            character, width = "\ufffd", (3 if self._data[self.position : self.position + 3] == b"\xef\xbf\xbd" else 1)
        self._width = width
        self.position += width
        return _EOF if character == "\0" else character

    def unread(self) -> None:
        self.position -= self._width

    def peek(self) -> str:
        character = self.read()
        self.unread()
        return character

    def opens(self, character: str) -> bool:
        """Whether ``${`` begins with this character, which has just been read; the brace is read, too, then."""
        if character == "$":
            if self.read() == "{":
                return True
            self.unread()
        return False

    def closes(self) -> bool:
        """Reads what has to be a closing brace."""
        return self.read() == "}"

    def scan(self, accept: Accept, *, escapes: bool = False, functions: bool = False) -> str:
        """Reads a token: ``text``, which is then in ``token``; ``{`` for the beginning of a function, where there may
        be one; "" for anything else."""
        character = self.read()
        if not character:
            return ""
        if functions and self.opens(character):
            return "{"
        token = bytearray()
        if not (self._escaped(character, token, escapes) or self._accepted(character, token, accept)):
            return ""
        while character := self.read():
            if functions and self.opens(character):
                self.unread()
                self.unread()
                break
            if self._escaped(character, token, escapes):
                continue
            if not self._accepted(character, token, accept):
                self.unread()
                break
        self.token = bytes(token)
        return "text"

    def _accepted(self, character: str, token: bytearray, accept: Accept) -> bool:
        written = self._data[self.position - self._width_of(character) : self.position]
        if not accept(character, len(token) + len(written)):
            return False
        token += written
        return True

    def _width_of(self, character: str) -> int:
        return 1 if character == "\ufffd" and self._width == 1 else len(character.encode("utf-8"))

    def _escaped(self, character: str, token: bytearray, escapes: bool) -> bool:
        """Whether the character escapes the next one, which is then read."""
        if not escapes:
            return False
        following = self.peek() if character in ("$", "\\") else ""
        if following and (character + following) in ("$$", "\\/", "\\\\"):
            token += following.encode()
            self.position += len(following)
            return True
        return False


def _function(reader: _Reader, depth: int) -> Expression:
    """An expression whose ``${`` has been read."""
    if depth > MAX_DEPTH:
        raise BadExpression(f"more than {MAX_DEPTH} functions inside of each other")
    if reader.peek() == "#":
        reader.scan(lambda character, at: character == "#" and at == 1)
        return _closed(Expression(_scanned(reader, _is_identifier), "#"), reader)
    name = _scanned(reader, _is_identifier, "no name of a variable after ${")
    following = reader.peek()
    if following == ":":
        reader.read()
        after = reader.peek()
        reader.unread()
        return _default(reader, name, depth) if after and after in "=-?+" else _substring(reader, name, depth)
    if following == "=":
        return _default(reader, name, depth)
    if following and following in ",^":
        return _closed(Expression(name, _scanned(reader, lambda char, at: char in ",^" and at < 3)), reader)
    if following == "/":
        return _replacement(reader, name, depth)
    if following and following in "#%":
        operator = _scanned(reader, lambda character, at: character == following and at < 3)
        argument = _parameter(reader, depth, _is_not("}"))
        return _closed(Expression(name, operator, [argument]), reader)
    if not reader.closes():
        raise BadExpression("no closing brace, or a function that there is not")
    return Expression(name)


def _default(reader: _Reader, name: str, depth: int) -> Expression:
    """``${name:-text}`` and the like; the text may hold expressions."""
    accept = (lambda char, at: char == "=" and at == 1) if reader.peek() == "=" else _is_default
    expression = Expression(name, _scanned(reader, accept))
    while reader.peek() != "}":
        expression.arguments.append(_parameter(reader, depth, _is_not("}")))
    return _closed(expression, reader)


def _substring(reader: _Reader, name: str, depth: int) -> Expression:
    """``${name:offset}``, ``${name:offset:length}``."""
    expression = Expression(name, _scanned(reader, lambda character, at: character == ":" and at == 1))
    expression.arguments.append(_parameter(reader, depth, _is_not(":}")))
    start = reader.position
    if reader.closes():
        return expression
    reader.position = start
    _scanned(reader, lambda character, _: character == ":")
    expression.arguments.append(_parameter(reader, depth, _is_not("}")))
    return _closed(expression, reader)


def _replacement(reader: _Reader, name: str, depth: int) -> Expression:
    """``${name/text/other}``, and with a second slash, ``#`` or ``%`` after the first."""
    expression = Expression(name, _scanned(reader, _is_replacement))
    expression.arguments.append(_parameter(reader, depth, _is_not("/"), escapes=True))
    _scanned(reader, lambda character, _: character == "/")
    if reader.peek() != "}":
        expression.arguments.append(_parameter(reader, depth, _is_not("}"), escapes=True))
    return _closed(expression, reader)


def _parameter(reader: _Reader, depth: int, accept: Accept, *, escapes: bool = False) -> bytes | Expression:
    found = reader.scan(accept, escapes=escapes, functions=True)
    if found == "{":
        return _function(reader, depth + 1)
    if not found:
        raise BadExpression("a parameter that cannot be read")
    return reader.token


def _scanned(reader: _Reader, accept: Accept, message: str = "an expression that cannot be read") -> str:
    if not reader.scan(accept):
        raise BadExpression(message)
    return reader.token.decode("utf-8", "surrogateescape")


def _closed(expression: Expression, reader: _Reader) -> Expression:
    if not reader.closes():
        raise BadExpression("no closing brace where the expression has to end")
    return expression


def _is_not(characters: str) -> Accept:
    return lambda character, _: character not in characters


def _is_identifier(character: str, _: int) -> bool:
    category = unicodedata.category(character)
    return character == "_" or category.startswith("L") or category == "Nd"


def _is_default(character: str, at: int) -> bool:
    return (at == 1 and character == ":") or (at == 2 and character in "=-?+")


def _is_replacement(character: str, at: int) -> bool:
    return (at == 1 and character == "/") or (at == 2 and character in "/#%")


_DEFAULTS: Final = frozenset(("=", ":=", ":-", ":?", ":+"))


def _evaluated(expression: Expression, variables: Mapping[str, bytes], trimmer: Trimmer, strict: bool) -> bytes:
    arguments = [
        argument if isinstance(argument, bytes) else _evaluated(argument, variables, trimmer, strict)
        for argument in expression.arguments
    ]
    value = variables.get(expression.name)
    if value is None and strict and expression.operator not in _DEFAULTS:
        raise Unset(expression.name)
    value = value or b""
    trimming = _TRIMMINGS.get(expression.operator)
    if trimming is not None and arguments:
        result = _trimmed(value, arguments[0], trimmer, trimming)
    else:
        result = _FUNCTIONS.get(expression.operator, _default_of)(value, arguments)
    if len(result) > MAX_RESULT:
        raise BadExpression(f"more than {MAX_RESULT >> 20} MiB come out of one expression")
    return result


def _default_of(value: bytes, arguments: list[bytes]) -> bytes:
    return value or b"".join(arguments)


def _length(value: bytes, _: list[bytes]) -> bytes:
    return str(len(value)).encode()


def _trimmed(value: bytes, pattern: bytes, trimmer: Trimmer, trimming: Trimming) -> bytes:
    try:
        return trimmer.trim(value, pattern, suffix=trimming.suffix, longest=trimming.longest)
    except OverflowError:
        raise BadExpression("patterns and values that take too long to match") from None


def _cased(value: bytes, change: Callable[[str], str], *, first: bool = False) -> bytes:
    text = value.decode("utf-8", "surrogateescape")
    changed = change(text[:1]) + text[1:] if first else "".join(map(change, text))
    return changed.encode("utf-8", "surrogateescape")


def _lower(character: str) -> str:
    """One character for one, as Unicode's simple mapping has it."""
    lower = character.lower()
    return lower if len(lower) <= 1 else lower[0]


def _upper(character: str) -> str:
    upper = character.upper()
    if len(upper) > 1:  # the simple mapping of these is that to title case, where it has one
        upper = character.title()
    return upper if len(upper) <= 1 else character


def _substring_of(value: bytes, arguments: list[bytes]) -> bytes:
    position = _integer(arguments[0])
    if position is None:
        return value
    if position < 0:
        position = max(0, len(value) + position)
    if len(arguments) == 1:
        return value[position:]
    length = _integer(arguments[1])
    if length is None:
        return value
    if length < 0:
        end = len(value) + length
        return b"" if end < position else value[position:end]
    return value[position : position + length]


def _integer(text: bytes) -> int | None:
    """What Go's strconv.Atoi makes of it; None where that is an error."""
    if not re.fullmatch(rb"[+-]?[0-9]{1,40}", text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


def _replace(value: bytes, arguments: list[bytes], count: int) -> bytes:
    old, new = arguments[0], arguments[1] if len(arguments) > 1 else b""
    if count < 0 and old:
        if len(value) + value.count(old) * max(0, len(new) - len(old)) > MAX_RESULT:
            raise BadExpression(f"more than {MAX_RESULT >> 20} MiB come out of one expression")
        return value.replace(old, new)
    if old or not count:
        return value.replace(old, new, count)
    # Go puts it before each character, and after the last; Python before each byte.
    text = value.decode("utf-8", "surrogateescape")
    replaced = text.replace("", new.decode("utf-8", "surrogateescape"), count)
    return replaced.encode("utf-8", "surrogateescape")


def _replace_prefix(value: bytes, arguments: list[bytes]) -> bytes:
    if len(arguments) == 2 and value.startswith(arguments[0]):
        return arguments[1] + value[len(arguments[0]) :]
    return value


def _replace_suffix(value: bytes, arguments: list[bytes]) -> bytes:
    if len(arguments) == 2 and value.endswith(arguments[0]):
        return value.removesuffix(arguments[0]) + arguments[1]
    return value


_FUNCTIONS: Final[Mapping[str, Callable[[bytes, list[bytes]], bytes]]] = {
    ",": lambda value, _: _cased(value, _lower, first=True),
    ",,": lambda value, _: _cased(value, _lower),
    "^": lambda value, _: _cased(value, _upper, first=True),
    "^^": lambda value, _: _cased(value, _upper),
    "#": _length,
    ":": _substring_of,
    "/#": _replace_prefix,
    "/%": _replace_suffix,
    "/": lambda value, arguments: _replace(value, arguments, 1),
    "//": lambda value, arguments: _replace(value, arguments, -1),
}


class Trimming(NamedTuple):
    """Of which end, and how much."""

    suffix: bool
    longest: bool


#: With a pattern; ``#`` without is the length.
_TRIMMINGS: Final[Mapping[str, Trimming]] = {
    "#": Trimming(suffix=False, longest=False),
    "##": Trimming(suffix=False, longest=True),
    "%": Trimming(suffix=True, longest=False),
    "%%": Trimming(suffix=True, longest=True),
}
