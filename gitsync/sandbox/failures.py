"""What the API answers when it does not do what it was asked: Status objects, in the real server's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


class Cause(NamedTuple):
    """One thing that is wrong. ``reason`` is an apimachinery cause, as ``FieldValueRequired``."""

    reason: str
    field: str
    message: str


@dataclass
class Failure(Exception):
    """An answer of an HTTP status above 399."""

    code: int
    reason: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> Manifest:
        """It as an object."""
        details = {"details": self.details} if self.details else {}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            **({"reason": self.reason} if self.reason else {}),
            **details,
            "code": self.code,
        }


class Named(NamedTuple):
    """What a failure is about: ``deployments`` of ``apps``, the kind Deployment, and a name."""

    group: str
    plural: str
    kind: str
    name: str

    @property
    def qualified(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def details(self) -> dict[str, Any]:
        group = {"group": self.group} if self.group else {}
        return {**({"name": self.name} if self.name else {}), **group, "kind": self.plural}


def not_found(what: Named) -> Failure:
    return Failure(404, "NotFound", f'{what.qualified} "{what.name}" not found', what.details)


def no_such_path() -> Failure:
    return Failure(404, "NotFound", "the server could not find the requested resource")


def not_served() -> Failure:
    """For a group or version that is not there; the answer is plain text then."""
    return Failure(404, "", "404 page not found")


def already_exists(what: Named) -> Failure:
    return Failure(409, "AlreadyExists", f'{what.qualified} "{what.name}" already exists', what.details)


def conflict(what: Named, why: str) -> Failure:
    message = f'Operation cannot be fulfilled on {what.qualified} "{what.name}": {why}'
    return Failure(409, "Conflict", message, what.details)


def apply_conflict(causes: Sequence[Cause]) -> Failure:
    """Server-side apply without force. The message is that of the real server, managers and all."""
    if len(causes) == 1:
        message = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
        return Failure(409, "Conflict", message, _causes(causes))
    lines = []
    for who in sorted({cause.message for cause in causes}):
        lines += [f"{who.replace('conflict', 'conflicts', 1)}:"]
        lines += [f"- {cause.field}" for cause in causes if cause.message == who]
    message = f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)
    return Failure(409, "Conflict", message, _causes(causes))


def invalid(what: Named, causes: Sequence[Cause]) -> Failure:
    said = [f"{cause.field}: {cause.message}" for cause in causes]
    kind = f"{what.kind}.{what.group}" if what.group else what.kind
    listed = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    details = {**what.details, "kind": what.kind, **_causes(causes)}
    return Failure(422, "Invalid", f'{kind} "{what.name}" is invalid: {listed}', details)


def bad_request(message: str) -> Failure:
    return Failure(400, "BadRequest", message)


def forbidden(what: Named, why: str, causes: Sequence[Cause] = ()) -> Failure:
    message = f'{what.qualified} "{what.name}" is forbidden: {why}'
    return Failure(403, "Forbidden", message, what.details | _causes(causes))


def untyped(where: str, complaint: str) -> Failure:
    """Server-side apply's answer to a field of a wrong name or type: a 500 without a reason."""
    return Failure(500, "", f"failed to create typed patch object ({where}): {complaint}")


def expired(message: str) -> Failure:
    return Failure(410, "Expired", message)


def _causes(causes: Sequence[Cause]) -> dict[str, Any]:
    return {"causes": [cause._asdict() for cause in causes]} if causes else {}
