"""What Secrets hold, kept out of text while somebody works with it.

Such values are known for a time and to some work only: one tenant's must never mask another's words. So they are not
registered for the whole process (``redact.register_secret``), but belong to a piece of work and the tasks it starts.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from urllib.parse import quote, quote_plus

#: Characters by which a value of a Secret is told from other words.
TELLING = 6
MASK = "***"
#: Lines of a value of several lines count by themselves when they have so many characters.
_MIN_LINE = 16
#: What stands where a text was shortened (``text.shorten``, ``text.shorten_middle``).
_CUT = re.compile(r" ?\.\.\.(?: |\Z)|…")

_kept: ContextVar[tuple[set[frozenset[str]], ...]] = ContextVar("kept", default=())


@contextmanager
def keeping_secrets() -> Iterator[None]:
    """Inside, and in tasks that are started there, what ``keep_secret`` is told appears in no text that ``redact`` has
    seen."""
    token = _kept.set((*_kept.get(), set()))
    try:
        yield
    finally:
        _kept.reset(token)


def keep_secret(values: frozenset[str]) -> None:
    """These are not to be told until the present ``keeping_secrets`` ends; without one nothing is kept."""
    if values and (kept := _kept.get()):
        kept[-1].add(values)


def mask_kept(text: str) -> str:
    """``text`` without what is kept at this moment."""
    for scope in _kept.get():
        for values in scope:
            text = _forms_of(values).mask(text)
    return text


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """``text`` without those of ``secrets`` that are long enough to be told from other words, wherever they stand: as
    they are, escaped as in JSON, Python or a URL, or in base64, alone or with something before or after them."""
    return _forms_of(frozenset(secrets)).mask(text)


class _Forms:
    """Finds some values in all spellings. A text costs its length, however many values there are."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._by_start: defaultdict[str, list[str]] = defaultdict(list)
        self._by_end: defaultdict[str, list[str]] = defaultdict(list)
        self._longest = 0
        for form in {form for secret in secrets if len(secret) >= TELLING for form in spellings(secret)}:
            if len(form) >= TELLING:
                self._by_start[form[:TELLING]].append(form)
                self._by_end[form[-TELLING:]].append(form)
                self._longest = max(self._longest, len(form))
        for forms in self._by_start.values():
            forms.sort(key=len, reverse=True)

    def mask(self, text: str) -> str:
        return self._mask_cut(self._mask_whole(text)) if self._by_start else text

    def _mask_cut(self, text: str) -> str:
        """Without what is left of a value where a text was shortened, before or after the mark of that."""
        parts, done = [], 0
        for mark in _CUT.finditer(text):
            begin, end = mark.span()
            kept = self._begun(text[max(done, begin - self._longest) : begin])
            left = self._ended(text[end : end + self._longest])
            parts += [text[done : begin - kept], MASK if kept else "", mark[0], MASK if left else ""]
            done = end + left
        return "".join([*parts, text[done:]])

    def _begun(self, text: str) -> int:
        """The length of the beginning of a value that is the end of a text; 0 when there is none that tells."""
        for length in range(len(text), TELLING - 1, -1):
            piece = text[-length:]
            if any(form.startswith(piece) for form in self._by_start.get(piece[:TELLING], ())):
                return length
        return 0

    def _ended(self, text: str) -> int:
        """The length of the end of a value that is the beginning of a text."""
        for length in range(len(text), TELLING - 1, -1):
            piece = text[:length]
            if any(form.endswith(piece) for form in self._by_end.get(piece[-TELLING:], ())):
                return length
        return 0

    def _mask_whole(self, text: str) -> str:
        parts, done, at, last = [], 0, 0, len(text) - TELLING
        while at <= last:
            forms = self._by_start.get(text[at : at + TELLING], ())
            length = next((len(form) for form in forms if text.startswith(form, at)), 0)
            if length:
                parts += [text[done:at], MASK]
                done = at + length
            at += length or 1
        return "".join([*parts, text[done:]])


@lru_cache(64)
def _forms_of(secrets: frozenset[str]) -> _Forms:
    return _Forms(secrets)


def spellings(secret: str) -> set[str]:
    """The ways in which a value is written inside other text."""
    as_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    quoted = {json.dumps(secret)[1:-1], as_json, _as_go_writes(as_json), repr(secret)[1:-1]}
    quoted |= {" ".join(secret.split()), *_long_lines(secret)}
    try:
        return {secret, *quoted, quote(secret, safe=""), quote(secret), quote_plus(secret), *_in_base64(secret)}
    except UnicodeEncodeError:  # half of a surrogate pair, which no Secret of a cluster holds
        return {secret, *quoted}


def _as_go_writes(text: str) -> str:
    """JSON of Go's, which thinks of HTML (encoding/json, HTMLEscape)."""
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _long_lines(secret: str) -> Iterator[str]:
    """Of several lines, as a private key has, those that are long enough to be telling."""
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _MIN_LINE and not line.startswith("-----"))


def _in_base64(secret: str) -> Iterator[str]:
    """A value in base64: all of it, and the characters that it alone decides with 0, 1 or 2 bytes (of three) before."""
    data = secret.encode()
    yield base64.b64encode(data).decode()
    yield base64.urlsafe_b64encode(data).decode()
    for before in range(3):
        text = base64.b64encode(bytes(before) + data).decode()
        alone = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(alone) >= TELLING:
            yield alone
