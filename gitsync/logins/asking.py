"""One request to a service that issues logins: bounded, to that server alone, with nothing in its errors of what was
sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from gitsync.errors import LoginRefused
from gitsync.http import Hints, HttpClient, Request, redacted, refusal

#: Seconds for one call, and bytes of its answer.
TIMEOUT = 15.0
_MOST_BYTES = 256 * 1024
#: What an error calls itself: as ECR (``__type``), OAuth 2 (``error``), Google and GitHub (``message``) write it. Of
#: texts only words, for they may quote what was sent.
_CODES = ("__type", "error", "code", "status")
_CODE = re.compile(r"[A-Za-z0-9_.#:-]{1,100}")
_XML_CODE = re.compile(rb"<Code>([A-Za-z0-9]{3,60})</Code>")
_AZURE_CODE = re.compile(r"AADSTS[0-9]{1,9}")
#: The characters of a token that may go into a header.
_TOKEN = re.compile(r"[\x21-\x7e]{1,65536}")


async def asked(http: HttpClient, request: Request, who: str, hint: str) -> bytes:
    """The service's answer. ``who`` is the service's name in messages; ``hint`` says what to do when it refuses.

    Raises: LoginRefused, SourceUnavailable.
    """
    hints = Hints(missing=hint, refused=hint, tls="")
    async with http.deadline(request.url, TIMEOUT, hints), http.open(request) as (response, where):
        data = await http.content(response, where, _MOST_BYTES)
        if response.status in (200, 201):
            return data
        code = _code(data)
        if response.status == 429 or response.status >= 500:
            raise refusal(response, where, hints, code)
    said = f"{response.status}, {code}" if code else str(response.status)
    raise LoginRefused(f"{who} gives no login ({said})", url=redacted(where), status=response.status, hint=hint)


async def json_of(http: HttpClient, request: Request, who: str, hint: str) -> Mapping[str, Any]:
    """The fields of an answer in JSON. Raises: LoginRefused, SourceUnavailable."""
    data = await asked(http, request, who, hint)
    try:
        found = orjson.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise unreadable(who)
    return found


def token_of(found: Mapping[str, Any], name: str, who: str) -> str:
    """A token in an answer. Raises: LoginRefused without one."""
    token = found.get(name)
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise unreadable(who)
    return token


def seconds_of(found: Mapping[str, Any], name: str, who: str) -> float:
    """For how many seconds a login is good, given as a number. Raises: LoginRefused."""
    try:
        return _positive(float(found[name]))
    except (KeyError, TypeError, ValueError):
        raise unreadable(who) from None


def seconds_until(moment: object, who: str) -> float:
    """For how many seconds a login is good, given as the moment of its end: Unix time, or RFC 3339. Raises:
    LoginRefused."""
    try:
        end = float(moment) if isinstance(moment, int | float) else datetime.fromisoformat(str(moment)).timestamp()
        return _positive(end - datetime.now(UTC).timestamp())
    except (ValueError, OverflowError):
        raise unreadable(who) from None


def unreadable(who: str) -> LoginRefused:
    """The error about an answer without what was asked for."""
    return LoginRefused(f"{who} answers without a login that can be used")


def _positive(seconds: float) -> float:
    if not seconds > 0:  # also what is no number
        raise ValueError
    return seconds


def _code(data: bytes) -> str:
    """The one word by which an answer names its error; "" when there is none."""
    if (code := _XML_CODE.search(data)) is not None:
        return code[1].decode()
    try:
        found = orjson.loads(data)
    except ValueError:
        return ""
    if not isinstance(found, dict):
        return ""
    words = [str(found[name]) for name in _CODES if isinstance(found.get(name), str) and _CODE.fullmatch(found[name])]
    nested = found.get("error")
    if isinstance(nested, dict) and _CODE.fullmatch(str(nested.get("status", ""))):
        words.append(str(nested["status"]))
    if azure := _AZURE_CODE.search(str(found.get("error_description", ""))):
        words.append(azure[0])
    return " ".join(words[:2])
