"""Keeping credentials out of text: what happens to every log line, and to every message the command line prints.

Three nets. Values that somebody registered as secret are replaced wherever they stand, also percent-encoded,
JSON-escaped, quoted by ``repr`` or in base64. So are those that the work at hand keeps secret (``secrets.py``). And
what looks like a credential is replaced without being known: passwords and tokens in URLs, Authorization headers, JSON
web tokens, PEM private keys.
"""

from __future__ import annotations

import re
import threading

from cachetools import LRUCache

from gitsync.logs.secrets import MASK, mask_kept, spellings

#: More values than this are not remembered: tokens rotate, and an agent runs for months. The oldest is forgotten first.
MAX_SECRETS = 1000
#: Lines of a multi-line secret (a private key) are registered one by one, when they are long enough to be telling.
_MIN_LINE = 16

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    # https://user:password@host and https://token@host: all of it may be secret. In ssh:// the user is not ("git").
    (re.compile(r"\b(ssh|git\+ssh)://([^\s/?#:@]*):[^\s/?#]*@", re.IGNORECASE), rf"\1://\2:{MASK}@"),
    (re.compile(r"\b(?!ssh:|git\+ssh:)([a-z][a-z0-9+.-]{0,20})://[^\s/?#]*@", re.IGNORECASE), rf"\1://{MASK}@"),
    # A password with an unencoded slash, told from host:port/path@x by the digits of a port.
    (re.compile(r"\b(https?)://[^\s/?#:@]*:(?!\d+(?:[/?#]|\s|$))[^\s@]{0,500}@", re.IGNORECASE), rf"\1://{MASK}@"),
    (
        re.compile(
            r"([?&;][\w.-]{0,40}(?:token|password|passwd|secret|signature|api_?key)=)[^&\s#\"']+", re.IGNORECASE
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            r"\b((?:proxy-)?authorization|private-token|x-[\w-]{0,40}token|x-api-key|(?:set-)?cookie)"
            r"([\"']?\s*[:=]\s*)[\"']?(?:(?:basic|bearer|token|digest|negotiate)\s+)?[^\s\"',;}]+",
            re.IGNORECASE,
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\b(basic|bearer)\s+(?=\S*[\d=._])[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), MASK),
)
#: A text without any of these cannot match a pattern; most texts have none, and looking is much cheaper than matching.
_HINTS = re.compile(r"://|-----BEGIN|[?&;]|eyJ|authorization|token|api-key|cookie|basic|bearer", re.IGNORECASE)


class _Registry:
    """The registered values and one expression that finds them all. Safe to use from any thread."""

    def __init__(self) -> None:
        self._values: LRUCache[str, None] = LRUCache(MAX_SECRETS)
        self._lock = threading.Lock()
        self._pattern: re.Pattern[str] | None = None
        self._stale = False

    def add(self, value: str) -> None:
        with self._lock:
            self._stale = self._stale or value not in self._values
            self._values[value] = None  # which counts as used

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._stale = True

    def mask(self, text: str) -> str:
        if self._stale:
            self._compile()
        pattern = self._pattern
        return pattern.sub(MASK, text) if pattern else text

    def _compile(self) -> None:
        with self._lock:
            forms = {form for secret in self._values for form in spellings(secret)}
            longest_first = sorted(forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None
            self._stale = False


_registry = _Registry()


def register_secret(value: str | bytes) -> None:
    """From now on ``value`` appears in no log line and no message. White space around it is not part of it; empty
    values are ignored. Of a value of several lines every long line counts by itself too.
    """
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    text = text.strip()
    if not text:
        return
    _registry.add(text)
    if "\n" in text:
        for line in text.splitlines():
            if len(line.strip()) >= _MIN_LINE and not line.startswith("-----"):
                _registry.add(line.strip())


def forget_secrets() -> None:
    """Forget every registered value: for tests, and for nothing else."""
    _registry.clear()


def redact(text: str) -> str:
    """``text`` without the registered values, those that are kept, and without what looks like a credential."""
    if not text:
        return text
    text = mask_kept(_registry.mask(text))
    if not _HINTS.search(text):
        return text
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
