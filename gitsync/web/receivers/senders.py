"""How each service proves that a delivery is its own, and what tells one delivery from another. Pure.

From the services' documentation: GitHub "Validating webhook deliveries", GitLab "Webhooks", Bitbucket "Manage
webhooks", Harbor "Configure Webhooks", Sonatype Nexus "Working with HMAC Payloads"; the types are those of Flux.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gitsync.web.receivers.body import decoded, payload
from gitsync.web.receivers.delivery import NO_JSON, WRONG_SIGNATURE, WRONG_TOKEN, Delivery, Proved, Refusal
from gitsync.web.receivers.signatures import is_hmac, is_hub_signed, is_same, is_signed

#: By what GitHub, Gitea and Bitbucket Server call a delivery that only tries whether somebody answers.
_PINGS: Final = frozenset({"ping", "diagnostics:ping"})
_HUB, _HUB_256, _AUTHORIZATION = "x-hub-signature", "x-hub-signature-256", "authorization"
_GITLAB_TOKEN, _SIGNATURE, _NEXUS = "x-gitlab-token", "x-signature", "x-nexus-webhook-signature"

Judge = Callable[[Delivery, bytes], "Proved | Refusal"]


@dataclass(frozen=True, slots=True)
class Sender:
    """A service. ``proofs`` are the headers of which a delivery needs one; ``secret_in`` is the header that holds the
    very token. Without them its body is not read. ``filters`` tells whether its events have names."""

    judge: Judge
    proofs: tuple[str, ...] = ()
    secret_in: str = ""
    filters: bool = False

    def doubt(self, headers: Mapping[str, str], token: bytes) -> Refusal | None:
        """Why a delivery is refused before its body is read; None when it is not."""
        if self.proofs and not any(headers.get(name) for name in self.proofs):
            return WRONG_SIGNATURE
        if self.secret_in and not is_same(Delivery(headers).header(self.secret_in), token):
            return WRONG_TOKEN
        return None


def _hub(*events: str) -> Judge:
    def judge(delivery: Delivery, token: bytes) -> Proved | Refusal:
        if not is_hub_signed(delivery.header(_HUB_256), delivery.header(_HUB), token, delivery.body):
            return WRONG_SIGNATURE
        return _proved(_first(delivery, *events), delivery.body)

    return judge


def _gitlab(delivery: Delivery, token: bytes) -> Proved | Refusal:
    if not is_same(delivery.header(_GITLAB_TOKEN), token):
        return WRONG_TOKEN
    # The same push again has another id; the same delivery again, the same one.
    told = _first(delivery, "idempotency-key", "x-gitlab-event-uuid")
    proved = _proved(_first(delivery, "x-gitlab-event"), told.encode(), delivery.body)
    return proved if told else Proved(proved.event)


def _generic_hmac(delivery: Delivery, token: bytes) -> Proved | Refusal:
    if not is_signed(delivery.header(_SIGNATURE), token, delivery.body):
        return WRONG_SIGNATURE
    return _proved("", delivery.body)


def _nexus(delivery: Delivery, token: bytes) -> Proved | Refusal:
    if not is_hmac(delivery.header(_NEXUS), token, delivery.body, "sha1"):
        return WRONG_SIGNATURE
    return _proved("", delivery.body) if decoded(delivery.body) is not None else NO_JSON


def _harbor(delivery: Delivery, token: bytes) -> Proved | Refusal:
    return Proved() if is_same(delivery.header(_AUTHORIZATION), token) else WRONG_TOKEN


def _generic(delivery: Delivery, token: bytes) -> Proved | Refusal:
    return Proved()


def _json(delivery: Delivery, token: bytes) -> Proved | Refusal:
    return Proved() if decoded(delivery.body) is not None else NO_JSON


def _cdevents(delivery: Delivery, token: bytes) -> Proved | Refusal:
    content = decoded(delivery.body)
    if content is None or not is_cdevent(content):
        return Refusal(NO_JSON.status, "the body is no CDEvent")
    context = content["context"]
    event = _first(delivery, "ce-type") or context["type"]
    told = f"{context['source']}\n{context['id']}"
    return Proved(event, identity_of(told.encode()))


def is_cdevent(content: Mapping[str, Any]) -> bool:
    """Whether this has what every CDEvent has (CDEvents specification, "Context" and "Subject")."""
    context, subject = content.get("context"), content.get("subject")
    if not isinstance(context, dict) or not isinstance(subject, dict):
        return False
    named = (context.get(name) for name in ("id", "source", "type", "timestamp"))
    version = context.get("version") or context.get("specversion")
    texts = (*named, version, subject.get("id"))
    return all(isinstance(text, str) and text for text in texts) and isinstance(subject.get("content"), dict)


SENDERS: Final[Mapping[str, Sender]] = {
    "github": Sender(_hub("x-github-event", "x-gitea-event"), (_HUB_256, _HUB), filters=True),
    "gitea": Sender(_hub("x-gitea-event", "x-github-event"), (_HUB_256, _HUB), filters=True),
    "bitbucket": Sender(_hub("x-event-key"), (_HUB_256, _HUB), filters=True),
    "gitlab": Sender(_gitlab, secret_in=_GITLAB_TOKEN, filters=True),
    "generic-hmac": Sender(_generic_hmac, (_SIGNATURE,)),
    "nexus": Sender(_nexus, (_NEXUS,)),
    "harbor": Sender(_harbor, secret_in=_AUTHORIZATION),
    "generic": Sender(_generic),
    "dockerhub": Sender(_json),
    "quay": Sender(_json),
    "acr": Sender(_json),
    "cdevents": Sender(_cdevents, filters=True),
}


def detected(headers: Mapping[str, str]) -> str:
    """The type of a sender who signs, by the header that he signs in; "" when there is none."""
    if headers.get(_GITLAB_TOKEN):
        return "gitlab"
    if headers.get(_SIGNATURE):
        return "generic-hmac"
    if not (headers.get(_HUB_256) or headers.get(_HUB)):
        return ""
    return "bitbucket" if headers.get("x-event-key") else "github"


def is_wanted(event: str, events: tuple[str, ...]) -> bool:
    """Whether an event is one of ``events``, in whatever case; all are of none. A CDEvent's may go without its version:
    ``dev.cdevents.change.merged`` stands for ``dev.cdevents.change.merged.0.2.0``."""
    said = event.lower()
    return not events or any(said == name.lower() or said.startswith(f"{name.lower()}.") for name in events if name)


def content_of(delivery: Delivery, proved: Proved) -> Mapping[str, Any] | None:
    """The body, for expressions: empty for one that is not said to be JSON, as with Flux; None for one that cannot be
    used."""
    if proved.content is not None:
        return proved.content
    raw = payload(delivery)
    if raw is delivery.body and "json" not in delivery.headers.get("content-type", "").lower():
        return {}
    return decoded(raw)


def _proved(event: str, *parts: bytes) -> Proved:
    return Proved(event, identity_of(event.encode(), *parts), is_ping=event.lower() in _PINGS)


def identity_of(*parts: bytes) -> bytes:
    """What a delivery with these parts is known by."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.digest()


def _first(delivery: Delivery, *names: str) -> str:
    found = (delivery.headers.get(name, "") for name in names)
    return next((text for text in found if text), "")[:200]
