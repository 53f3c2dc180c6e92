"""What the API server answers, as our own errors: a Status object in, the most specific class out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.api.identity import ObjectKey
from gitsync.denial import refused
from gitsync.errors import (
    AlreadyExists,
    ApiError,
    ClusterUnavailable,
    Conflict,
    Forbidden,
    GitsyncError,
    Gone,
    Invalid,
    KindUnknown,
    MissingRight,
    NamespaceTerminating,
    NotFound,
    QuotaExceeded,
    Unauthorized,
    WebhookUnavailable,
)
from gitsync.text import shorten_middle

#: An API server's text may quote an object; a message of ours does not grow with it.
_LONGEST = 600
_CAUSES = 8
_HIDDEN = "(what the API server said is not shown: it may quote the Secret)"
#: The kinds of complaint whose text never quotes the value (field.Error.ErrorBody of apimachinery).
_NEVER_QUOTING = {"FieldValueRequired", "FieldValueForbidden", "FieldValueTooLong", "NamespaceTerminating"}
_CLASSES: Mapping[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
}
_HINTS: Mapping[type[ApiError], str] = {
    Unauthorized: "check the credentials in the kubeconfig, or the pod's service account",
    KindUnknown: "a CustomResourceDefinition must bring it first",
    QuotaExceeded: "raise the ResourceQuota, or make room in the namespace",
    NamespaceTerminating: "wait until the namespace is gone, or use another one",
}
#: Of what is to be created in a namespace that is not there.
_NO_NAMESPACE = "create the namespace, or let a HelmRelease do so with spec.install.createNamespace: true"
#: The ResourceQuota plugin's refusals for want of room, and while it does not know yet how much is used (apiserver,
#: plugin/resourcequota). What lacks a field that a quota asks for ("failed quota") is wrong in itself.
_QUOTA = re.compile(r"exceeded quota: |status unknown for quota: ")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request was about: ``verb`` is Kubernetes' word for it, ``name`` what messages call it."""

    verb: str
    name: str
    key: ObjectKey | None = None

    @property
    def secret(self) -> bool:
        return self.key is not None and self.key.kind == "Secret"

    @property
    def is_namespace(self) -> bool:
        return self.key is not None and self.key.kind == "Namespace"


def error_of(subject: Subject, http_status: int, body: Any, retry_after: float | None = None) -> GitsyncError:
    """The error for an answer of ``http_status`` whose parsed body is ``body`` (None when it was no JSON)."""
    status = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
    if complaint := _apply_complaint(subject, http_status, str(status.get("message"))):
        # Not a 422, for the object as such is malformed: no validation has come to look at it.
        return _api_error(subject, Invalid, 400, "BadRequest", [complaint], "")
    if http_status == 429 or http_status >= 500:
        return _unavailable(subject, http_status, status, retry_after)
    raw_causes = (status.get("details") or {}).get("causes") or []
    reason = _reason(status, raw_causes)
    cls = _CLASSES.get(http_status, ApiError)
    if cls is NotFound and not (status.get("details") or {}).get("name"):
        cls = KindUnknown  # a path that is not served is a 404, too, in plain text or as a Status that names nothing
    if cls is Conflict and reason == "AlreadyExists":
        cls = AlreadyExists
    if cls is Forbidden:
        cls = _forbidden(str(status.get("message")), raw_causes)
    causes = [_cause(cause, subject.secret) for cause in raw_causes[:_CAUSES]]
    error = _api_error(subject, cls, http_status, reason, causes, str(status.get("message") or ""))
    if cls is NotFound and (status.get("details") or {}).get("kind") == "namespaces" and not subject.is_namespace:
        error.hint = _NO_NAMESPACE
    return error


def _forbidden(message: str, causes: Sequence[Mapping[str, Any]]) -> type[ApiError]:
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        return NamespaceTerminating
    if _QUOTA.search(message):
        return QuotaExceeded
    return MissingRight if refused(message) else Forbidden


def _api_error(
    subject: Subject, cls: type[ApiError], http_status: int, reason: str, causes: list[tuple[str, str]], said: str
) -> ApiError:
    if cls is KindUnknown:
        said = "the API server does not serve its kind, or not in this version"
    elif cls is Unauthorized:
        said = "the API server does not accept our credentials"
    elif causes:
        said = "; ".join(f"{field}: {text}" if field else text for field, text in causes)
    elif subject.secret and cls is Invalid:
        said = f"{reason or 'Invalid'} {_HIDDEN}"
    elif cls is MissingRight:
        said = refused(said)
    return cls(
        f"cannot {subject.verb} {subject.name}: {_shortened(said) or 'the API server gave no reason'}",
        status=http_status,
        reason=reason,
        verb=subject.verb,
        key=subject.key,
        causes=causes,
        hint=_HINTS.get(cls, ""),
    )


#: Server-side apply's complaints about a field of a wrong type or name, or a value it cannot convert. They come as
#: a 500 without a reason (fieldmanager of apiserver), which nothing but the text tells from a failing API server; and
#: sending it again changes nothing.
_UNTYPED = re.compile(
    # A field's path has the keys of lists in it, quoted: .spec.ports[port="of the user",protocol="TCP"].port
    r'failed to create typed patch object \(.*?\): \.?(?P<field>(?:"(?:[^"\\]|\\.)*"|[^\s"])+): (?P<text>.*)',
    re.DOTALL,
)
_TOO_LARGE = "etcdserver: request is too large"
_UNCONVERTED = re.compile(r"failed to convert new object \(.*?\) to proper version: (?P<text>.*)", re.DOTALL)


def _apply_complaint(subject: Subject, http_status: int, message: str) -> tuple[str, str] | None:
    if http_status != 500:
        return None
    if message.endswith(_TOO_LARGE):
        return "", "it is too large for etcd"
    if match := _UNTYPED.match(message):
        # What it got is quoted in Go's notation, with the value.
        return match["field"], _shortened(match["text"].partition(", got &")[0])
    if match := _UNCONVERTED.match(message):
        if not subject.secret:
            return "", _shortened(match["text"].rpartition(": ")[2])
        return ("data", "not base64") if "illegal base64 data" in message else ("", f"Invalid {_HIDDEN}")
    return None


def _reason(status: Mapping[str, Any], causes: Sequence[Mapping[str, Any]]) -> str:
    """Server-side apply says Conflict, and why only in its causes; it is another thing than a stale resourceVersion."""
    if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        return "FieldManagerConflict"
    return str(status.get("reason") or "")


def _cause(cause: Mapping[str, Any], secret: bool) -> tuple[str, str]:
    message = str(cause.get("message") or cause.get("reason") or "")
    if secret and cause.get("reason") not in _NEVER_QUOTING:
        message = f"{message.partition(':')[0]} {_HIDDEN}"
    return str(cause.get("field") or ""), _shortened(message)


def _unavailable(
    subject: Subject, http_status: int, status: Mapping[str, Any], retry_after: float | None
) -> ClusterUnavailable:
    message = str(status.get("message") or "")
    if http_status == 500 and (match := _WEBHOOK.search(message)):
        return _webhook_unavailable(subject, match["name"], "" if subject.secret else match["why"])
    said = "" if subject.secret else _shortened(message)
    why = "is overloaded" if http_status == 429 else "failed"
    return ClusterUnavailable(
        f"cannot {subject.verb} {subject.name}: the API server {why} ({http_status})" + (f": {said}" if said else ""),
        status=http_status,
        retry_after=retry_after,
    )


#: Of the API server, when it gets no answer out of a webhook (apiserver, plugin/webhook/errors). Where the answer was
#: no, it is a 403, or whatever the webhook says.
_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]*)": (?P<why>.*)', re.DOTALL)


def _webhook_unavailable(subject: Subject, name: str, why: str) -> WebhookUnavailable:
    return WebhookUnavailable(
        f'cannot {subject.verb} {subject.name}: admission webhook "{_shortened(name)}" does not answer'
        + (f": {_shortened(why.removeprefix('failed to call webhook: '))}" if why else ""),
        status=500,
        hint="wait for what serves it; if nothing ever will, delete its WebhookConfiguration",
    )


def _shortened(text: str) -> str:
    """One line of bearable length. A complaint that quotes much says why at its end (``field is immutable``)."""
    return shorten_middle(text, _LONGEST)


_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


def warnings_of(headers: Sequence[str]) -> tuple[str, ...]:
    """The texts of ``Warning`` headers (RFC 7234): ``299 - "unknown field \\"spec.foo\\""``."""
    return tuple(re.sub(r"\\(.)", r"\1", match.group(1)) for header in headers for match in _WARNING.finditer(header))
