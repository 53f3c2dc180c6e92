"""How many requests an API server got, by its own counter; and who sent them, by its audit log. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

TOTAL = "apiserver_request_total"
#: A watch is counted when it ends; those under way are in this gauge.
UNDER_WAY = "apiserver_longrunning_requests"
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Kind:
    """What was asked for: ``APPLY deployments``, ``PUT pods/status``."""

    verb: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


def read_metrics(text: str) -> Counter[Kind]:
    """Requests begun since the API server's start, from the text of its /metrics; that of /metrics itself left out."""
    found: Counter[Kind] = Counter()
    for line in text.splitlines():
        if line.startswith((TOTAL + "{", UNDER_WAY + "{")):
            labels = dict(_LABEL.findall(line))
            if line.startswith(UNDER_WAY) and labels["verb"] != "WATCH":
                continue
            kind = _kind(labels)
            if kind.resource != "/metrics":
                found[kind] += int(float(line.rsplit(" ", 1)[1]))
    return found


def since(before: Counter[Kind], after: Counter[Kind]) -> Counter[Kind]:
    """What was counted in between."""
    return Counter({kind: count - before[kind] for kind, count in after.items() if count != before[kind]})


def _kind(labels: dict[str, str]) -> Kind:
    resource, subresource = labels.get("resource", ""), labels.get("subresource", "")
    return Kind(labels["verb"], f"{resource}/{subresource}" if resource and subresource else resource or subresource)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of the audit log. ``at`` is when it came, in seconds since the epoch."""

    at: float
    client: str
    verb: str
    resource: str

    @property
    def kind(self) -> Kind:
        return Kind(self.verb, self.resource)

    @property
    def writes(self) -> bool:
        return self.verb in WRITES


def read_audit(lines: Iterable[str]) -> list[Asked]:
    """The requests of an audit log in the order they came; a watch, which is logged when it begins and when it ends, is
    one. A last line that is not complete yet is left out.
    """
    found: dict[str, Asked] = {}
    for line in lines:
        if line.endswith("\n"):
            event = json.loads(line)
            found.setdefault(event["auditID"], _asked(event))
    return sorted((asked for asked in found.values() if asked.resource != "/metrics"), key=lambda asked: asked.at)


def _asked(event: dict[str, object]) -> Asked:
    ref = event.get("objectRef")
    if isinstance(ref, dict) and ref.get("resource"):
        resource = "/".join(str(ref[part]) for part in ("resource", "subresource") if ref.get(part))
    else:
        resource = str(event.get("requestURI", "")).split("?")[0]
    at = datetime.fromisoformat(str(event["requestReceivedTimestamp"])).timestamp()
    client = str(event.get("userAgent") or "unnamed").split("/")[0]
    return Asked(at, client, str(event["verb"]), resource)
