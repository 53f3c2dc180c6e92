"""What the answer 401 asks for: the header WWW-Authenticate (RFC 9110, 11.6.1). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Longer headers are not read: nobody asks for credentials in so many words.
_LONGEST = 8192
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'\s*,?\s*({_WORD})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_BEGIN = re.compile(rf"[\s,]*({_WORD})(?=\s|,|$)")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to get in: ``basic`` or ``bearer``, and what it says of that."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """A parameter; "" when it is not there."""
        return self.parameters.get(name, "")


def read_challenges(headers: Iterable[str]) -> list[Challenge]:
    """All that can be read, in their order; what cannot is passed over."""
    found: list[Challenge] = []
    for header in headers:
        position, current = 0, dict[str, str]()
        while position < min(len(header), _LONGEST):
            parameter = _PARAMETER.match(header, position) if found else None
            begin = _BEGIN.match(header, position) if parameter is None else None
            if parameter is not None:
                name, quoted, plain = parameter.groups()
                current.setdefault(name.lower(), _ESCAPED.sub(r"\1", quoted) if quoted is not None else plain)
                position = parameter.end()
            elif begin is not None:
                current = {}
                found.append(Challenge(begin[1].lower(), current))
                position = begin.end()
            else:
                position = _after_comma(header, position)
    return found


def _after_comma(header: str, position: int) -> int:
    comma = header.find(",", position)
    return comma + 1 if comma >= 0 else len(header)
