"""Objects of the cluster as rows of a table: the columns that ``flux get`` has. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gitsync.api.conditions import condition_of, ready_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.kinds import is_notification, is_suspended
from gitsync.api.names import (
    COMMIT_ANNOTATION,
    DRIFTED,
    TRUE,
)
from gitsync.health.helmrepository import MERE_CONFIGURATION, is_mere_configuration

HEADERS = ("NAME", "REVISION", "SUSPENDED", "READY", "MESSAGE")


@dataclass(frozen=True, slots=True)
class Columns:
    """How a kind is listed: its revision, and the columns that ``-o wide`` adds."""

    revision: Callable[[Manifest], str]
    wide: tuple[tuple[str, Callable[[Manifest], str]], ...]

    def headers(self, *, wide: bool) -> tuple[str, ...]:
        """The names of the columns; NAME is the first."""
        return (*HEADERS[:-1], *(name for name, _ in self.wide if wide), HEADERS[-1])

    def row(self, manifest: Manifest, *, wide: bool) -> list[str]:
        """One object, a text for each header."""
        ready, message = _readiness(manifest)
        suspended = str(is_suspended(manifest))
        more = [value(manifest) for _, value in self.wide if wide]
        return [manifest["metadata"]["name"], self.revision(manifest), suspended, ready, *more, message]


def _readiness(manifest: Manifest) -> tuple[str, str]:
    condition = ready_of(manifest)
    if not condition and is_notification(ObjectKey.of(manifest)):
        return "-", ""  # it has no status
    if is_mere_configuration(manifest):
        return TRUE, MERE_CONFIGURATION  # as with ``flux get``
    if not condition:
        return "Unknown", "waiting to be reconciled"
    drift = condition_of(manifest, DRIFTED)
    also = f"; {drift.get('message')}" if drift.get("status") == TRUE else ""
    return str(condition.get("status", "")), f"{condition.get('message', '')}{also}"


def release_revision(manifest: Manifest) -> str:
    """The chart's version: of what is deployed, else of what was tried last (as ``flux get helmreleases``)."""
    status = manifest.get("status") or {}
    newest: dict[str, Any] = next(iter(status.get("history") or ()), {})
    return str(
        newest.get("chartVersion") or status.get("lastAppliedRevision") or status.get("lastAttemptedRevision") or ""
    )


def applied_revision(manifest: Manifest) -> str:
    """The revision last applied, with the commit's first digits: ``main@sha1:3f2a91c4``."""
    revision = str((manifest.get("status") or {}).get("lastAppliedRevision", ""))
    name, colon, commit_id = revision.rpartition(":")
    return f"{name}{colon}{commit_id[:8]}"


def path(manifest: Manifest) -> str:
    """The directory that a Kustomization builds."""
    return str((manifest.get("spec") or {}).get("path", ""))


def repository_revision(manifest: Manifest) -> str:
    """``sha256:`` and the first eight digits, as ``flux get sources helm``."""
    revision = str(((manifest.get("status") or {}).get("artifact") or {}).get("revision", ""))
    algorithm, colon, digest = revision.rpartition(":")
    return f"{algorithm}{colon}{digest[:8]}"


def artifact_revision(manifest: Manifest) -> str:
    """``6.5.4@sha256:`` and the first eight digits, as ``flux get sources oci`` and ``flux get sources git``."""
    tag, at, digest = str(((manifest.get("status") or {}).get("artifact") or {}).get("revision", "")).rpartition("@")
    algorithm, colon, digits = digest.rpartition(":")
    return f"{tag}{at}{algorithm}{colon}{digits[:8]}"


def chart_version(manifest: Manifest) -> str:
    """The version of a HelmChart's chart."""
    return str(((manifest.get("status") or {}).get("artifact") or {}).get("revision", ""))


def asked_chart(manifest: Manifest) -> str:
    """The chart that a HelmChart asks for."""
    return str((manifest.get("spec") or {}).get("chart", ""))


def chart_source(manifest: Manifest) -> str:
    """The source of a HelmChart: ``HelmRepository/bitnami``."""
    reference = (manifest.get("spec") or {}).get("sourceRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def made_artifacts(manifest: Manifest) -> str:
    """How many artifacts an ArtifactGenerator has made."""
    return str(len((manifest.get("status") or {}).get("inventory") or ()))


def provider_type(manifest: Manifest) -> str:
    """What kind of service a Provider is."""
    return str((manifest.get("spec") or {}).get("type", ""))


def provider_name(manifest: Manifest) -> str:
    """The Provider that an Alert names."""
    return str(((manifest.get("spec") or {}).get("providerRef") or {}).get("name", ""))


def severity(manifest: Manifest) -> str:
    """The least severity that an Alert passes on."""
    return str((manifest.get("spec") or {}).get("eventSeverity") or "info")


def webhook_path(manifest: Manifest) -> str:
    """The path of a Receiver's webhook, with the first digits of its secret part: ``/hook/3f2a91c4``."""
    path = str((manifest.get("status") or {}).get("webhookPath", ""))
    home, slash, digest = path.rpartition("/")
    return f"{home}{slash}{digest[:8]}"


def sender_type(manifest: Manifest) -> str:
    """A Receiver's type, which says who sends to it."""
    return str((manifest.get("spec") or {}).get("type", ""))


def chart(manifest: Manifest) -> str:
    """The name of the chart that is deployed, else of the one that is wanted."""
    newest: dict[str, Any] = next(iter((manifest.get("status") or {}).get("history") or ()), {})
    wanted = (((manifest.get("spec") or {}).get("chart") or {}).get("spec") or {}).get("chart")
    return str(newest.get("chartName") or wanted or "")


def url(manifest: Manifest) -> str:
    """Where a source is, without a login in it."""
    from gitsync.logs import redact

    return redact(str((manifest.get("spec") or {}).get("url", "")))


def endpoint(manifest: Manifest) -> str:
    """The endpoint and the name of a Bucket."""
    from gitsync.logs import redact

    spec = manifest.get("spec") or {}
    return redact(f"{spec.get('endpoint', '')}/{spec.get('bucketName', '')}")


def commit(manifest: Manifest) -> str:
    """The short id of the commit that an object comes from."""
    return str((manifest["metadata"].get("annotations") or {}).get(COMMIT_ANNOTATION, ""))[:7]


def age(manifest: Manifest) -> str:
    """The time since an object was created."""
    created = manifest["metadata"].get("creationTimestamp", "")
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return "<unknown>"
    return human_duration((datetime.now(UTC) - moment).total_seconds())


def human_duration(seconds: float) -> str:
    """As kubectl shows an age (apimachinery's ``duration.HumanDuration``): two units where one says too little."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two(minutes, "m", whole % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    return _two(days // 365, "y", days % 365, "d") if days < 2920 else f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")
