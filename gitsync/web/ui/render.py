"""Pages out of templates, in which everything is escaped: what comes from Git and the cluster is hostile text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, unquote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.live.columns import human_duration
from gitsync.live.events import last_seen
from gitsync.live.link import without_column
from gitsync.logs import redact
from gitsync.text import counted, printable, shorten

#: In addresses: the core group, and no namespace. No group and no namespace is called so.
CORE = "core"
NOWHERE = "-"
_MOST_TEXT = 2000
_LINK = ("https://", "http://")


def page(template: str, **values: Any) -> str:
    """The HTML of a page."""
    text: str = _environment().get_template(template).render(**values)
    return text


def path_of(key: ObjectKey) -> str:
    """The address of an object's page."""
    parts = (key.group or CORE, key.kind, key.namespace or NOWHERE, key.name)
    return "/object/" + "/".join(quote(part, safe="") for part in parts)


def key_of(path: str) -> ObjectKey | None:
    """The object of an address that ``path_of`` gave; None of any other text."""
    parts = path.split("/")
    if len(parts) != 6 or parts[:2] != ["", "object"]:
        return None
    return key_at(*map(unquote, parts[2:]))


def key_at(group: str, kind: str, namespace: str, name: str) -> ObjectKey:
    """The object of such an address."""
    return ObjectKey("" if group == CORE else group, kind, "" if namespace == NOWHERE else namespace, name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gitsync.web.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        ago=_ago, moment=_moment, seen=_seen, say=_say, path=path_of, link=link_of, plain=printable
    )
    environment.filters.update(counted=counted, query=urlencode, line=without_column, code=_code, seconds=_seconds)
    return environment


def _seen(event: Manifest) -> float:
    """When an Event happened last."""
    return last_seen(event).timestamp()


def _say(text: object) -> str:
    """Text of others: without credentials and control characters, and no more than somebody reads."""
    return printable(redact(shorten(" ".join(str(text).split()), _MOST_TEXT)))


def _code(text: object) -> str:
    """A line of others as it is written: like ``say``, with its blanks."""
    return printable(redact(shorten(str(text), _MOST_TEXT)))


def _seconds(number: float) -> str:
    """A time that something took: ``0.25 s``, ``12.3 s``, ``4m5s``."""
    if number >= 120:
        return human_duration(number)
    return f"{number:.2f} s" if number < 1 else f"{number:.1f} s"


def link_of(url: str) -> str:
    """An address that may be made a link; "" of any other."""
    return url if url.startswith(_LINK) and redact(url) == url else ""


def _ago(moment: str | float) -> str:
    """How long ago, as kubectl shows ages; "" when that cannot be told."""
    found = _parsed(moment)
    return human_duration((datetime.now(UTC) - found).total_seconds()) if found is not None else ""


def _moment(moment: str | float) -> str:
    """RFC 3339, whole seconds, UTC; "" of what is no time."""
    found = _parsed(moment)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ") if found is not None else ""


def _parsed(moment: str | float) -> datetime | None:
    try:
        if isinstance(moment, int | float):
            return datetime.fromtimestamp(moment, UTC)
        return datetime.fromisoformat(moment).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
