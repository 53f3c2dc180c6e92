"""Helm's release record: the Secret ``sh.helm.release.v1.NAME.vN`` that ``helm list`` and ``helm history`` read.

Pure coding, no I/O. The format is Helm's storage driver for Secrets (helm.sh/helm/v4/pkg/storage/driver): type
``helm.sh/release.v1``, ``data.release`` = base64(base64(gzip(JSON))), labels name, owner, status, version, createdAt,
modifiedAt. Helm keeps the labels when it rewrites a record and drops the annotations; ours therefore only ever save
work (a digest that proves "nothing changed" without reading the record) and are never the only place of a fact.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import zlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

import orjson

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.api.names import HELM_RECORD_TYPE
from gitsync.errors import TerminalError
from gitsync.release.storage.canonical import digest, with_floats
from gitsync.release.storage.shape import fault_of
from gitsync.text import whole_number
from gitsync.weight import json_weight

Status = Literal[
    "deployed",
    "failed",
    "pending-install",
    "pending-upgrade",
    "pending-rollback",
    "superseded",
    "uninstalled",
    "uninstalling",
    "unknown",
]

#: Server-side apply, or client-side patches; "" in records of Helm 3, which only had the latter.
ApplyMethod = Literal["ssa", "csa", ""]
SERVER_SIDE: ApplyMethod = "ssa"
CLIENT_SIDE: ApplyMethod = "csa"

OWNER_SELECTOR = "owner=helm"
CHART_DIGEST = "gitsync.dev/chart-digest"
VALUES_DIGEST = "gitsync.dev/values-digest"
HOLDER = "gitsync.dev/holder"
#: On a deployed record: how its tests went, "Succeeded" or "Failed".
TESTS = "gitsync.dev/tests"
#: On a failed record: the class of the error; one that was not ready in time may become ready later. On a record that
#: was uninstalled without having been deployed: that class, or the status that it had.
FAILURE = "gitsync.dev/failure"
#: A record larger than this, unpacked, is not read: a gzip bomb in a Secret must not take the agent down.
MAX_RECORD = 16 * 1024 * 1024
#: Bytes of memory that a decoded record may take.
MAX_WEIGHT = 32 * 1024 * 1024
#: Characters of the manifest; the same bound holds for rendered manifests, those of hooks included.
MAX_MANIFEST = 8 * 1024 * 1024
#: The API server refuses an object much larger than this (etcd's request limit).
MAX_SECRET = 1024 * 1024


class RecordError(TerminalError):
    """A release record that cannot be read or stored. ``secret`` is the Secret's name."""

    def __init__(self, message: str, *, secret: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.secret = secret


@dataclass(frozen=True, slots=True)
class Record:
    """One revision of a release, as Helm stores it. Times are RFC 3339 texts; chart, config and hooks are JSON.

    ``annotations`` are the Secret's own (digests and holder, see the module's text); ``manifest`` is the rendered text.
    """

    name: str
    namespace: str
    version: int
    status: Status
    chart: dict[str, Any] = field(repr=False)
    config: dict[str, Any] = field(repr=False)
    manifest: str = field(repr=False)
    hooks: list[dict[str, Any]] = field(default_factory=list, repr=False)
    notes: str = field(default="", repr=False)
    description: str = ""
    first_deployed: str = ""
    last_deployed: str = ""
    deleted: str = ""
    apply_method: ApplyMethod = SERVER_SIDE
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    #: Keeps its memory counted for as long as it exists.
    held: object = field(default=None, repr=False, compare=False)

    @property
    def chart_name(self) -> str:
        """The chart's name from its metadata."""
        return str((self.chart.get("metadata") or {}).get("name") or "")

    @property
    def chart_version(self) -> str:
        """The chart's version from its metadata."""
        return str((self.chart.get("metadata") or {}).get("version") or "")

    @property
    def client_side(self) -> bool:
        """Whether the revision's objects were applied by client-side patches."""
        return self.apply_method != SERVER_SIDE

    def now(self, status: Status, description: str, **changes: Any) -> Record:
        """The revision with another status."""
        return replace(self, status=status, description=description, **changes)

    @property
    def summary(self) -> Summary:
        """The summary of this record, as its Secret's labels and annotations will have it."""
        return Summary(self.name, self.namespace, self.version, self.status, "", self.annotations)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a record's Secret says in its metadata alone, so that an unchanged release costs no payload.

    ``modified`` is the Secret's label modifiedAt, in seconds since the epoch, as text ("" when it has none).
    """

    name: str
    namespace: str
    version: int
    status: Status
    modified: str
    annotations: dict[str, str]

    @property
    def pending(self) -> bool:
        """Whether an action on it has begun and not ended."""
        return self.status.startswith("pending-") or self.status == "uninstalling"


@dataclass(frozen=True, slots=True)
class Digests:
    """What identifies a release's content: its chart's digest and its values' digest."""

    chart: str
    values: str

    @property
    def artifact(self) -> str:
        """The digest of the artifact that the chart came in, which the chart's digest begins with; else that itself."""
        return self.chart.partition("+")[0]


def digests_of(summary: Summary) -> Digests | None:
    """The digests in a record's annotations; None when there are none."""
    chart, values = summary.annotations.get(CHART_DIGEST), summary.annotations.get(VALUES_DIGEST)
    return Digests(chart, values) if chart and values else None


def secret_name(release: str, version: int) -> str:
    """``sh.helm.release.v1.redis.v3``."""
    return f"sh.helm.release.v1.{release}.v{version}"


def secret_key(namespace: str, release: str, version: int) -> ObjectKey:
    """The key of the Secret that holds one revision."""
    return ObjectKey("", "Secret", namespace, secret_name(release, version))


def timestamp(now: datetime | None = None) -> str:
    """A time in RFC 3339 with microseconds, which Go's time can read."""
    return (now or datetime.now(UTC)).isoformat().replace("+00:00", "Z")


_SYSTEM_LABELS = frozenset({"name", "owner", "status", "version", "createdAt", "modifiedAt"})


def encode(record: Record, *, storage_namespace: str = "", created: str = "", modified: str = "") -> Manifest:
    """The Secret of a record.

    ``storage_namespace`` is where it is kept (default: the release's), ``created`` and ``modified`` seconds since the
    epoch as texts.

    Takes time that grows with the record: call it in a thread.

    Raises: RecordError when it would be too large for the API server.
    """
    name = secret_name(record.name, record.version)
    body = _dump(_to_helm(record))
    # Level 6 is within a few per cent of Helm's level 9 in size, at a third of the time.
    packed = base64.b64encode(base64.b64encode(gzip.compress(body, 6, mtime=0))).decode()
    if len(packed) > MAX_SECRET:
        raise RecordError(
            f"the release record of {record.namespace}/{record.name} is {len(packed)} bytes, too large to be stored",
            secret=name,
            hint="make the chart smaller: files that templates do not read belong into .helmignore",
        )
    labels = {
        **{key: value for key, value in record.labels.items() if key not in _SYSTEM_LABELS},
        "name": record.name,
        "owner": "helm",
        "status": record.status,
        "version": str(record.version),
    }
    if created:
        labels["createdAt"] = created
    if modified:
        labels["modifiedAt"] = modified
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": storage_namespace or record.namespace,
            "labels": labels,
            "annotations": dict(record.annotations),
        },
        "type": HELM_RECORD_TYPE,
        "data": {"release": packed},
    }


def unpack(secret: Manifest) -> bytes:
    """The JSON of the record in a Secret. Takes time that grows with the record: call it in a thread.

    Raises: RecordError when it is none, or comes to more than MAX_RECORD, or MAX_WEIGHT once it is decoded.
    """
    try:
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"], validate=True), validate=True)
        return _unpack(packed, secret["metadata"]["name"])
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error, zlib.error) as error:
        raise _unreadable(secret, type(error).__name__) from None


def decode(secret: Manifest, body: bytes | None = None, held: object = None) -> Record:
    """The record in a Secret, of which ``body`` is what was unpacked; ``held`` is to live as long as the record. Takes
    time that grows with the record: call it in a thread.

    Raises: RecordError when it is not one, is damaged, or comes to more than it may.
    """
    try:
        content = orjson.loads(unpack(secret) if body is None else body)
        fault = fault_of(content)
    except ValueError as error:
        raise _unreadable(secret, type(error).__name__) from None
    if fault:
        raise _unreadable(secret, fault)
    texts = [content.get("manifest"), *(hook.get("manifest") for hook in content.get("hooks") or ())]
    if sum(len(text or "") for text in texts) > MAX_MANIFEST:
        name = secret["metadata"]["name"]
        raise RecordError(
            f"the release record {name} has a manifest of more than {MAX_MANIFEST >> 20} MiB", secret=name
        )
    return _from_helm(content, secret["metadata"], held)


def _unreadable(secret: Manifest, fault: str) -> RecordError:
    metadata = secret["metadata"]
    return RecordError(
        f"Secret {metadata.get('namespace')}/{metadata['name']} is not a readable Helm release record ({fault})",
        secret=metadata["name"],
        hint="restore it from a backup, or delete it to let the release be installed anew",
    )


#: The fields of a hook that a rollback restores; the result of its last run is none of them.
_HOOK_FIELDS = ("name", "path", "kind", "manifest", "events", "weight")


def checksum(record: Record) -> str:
    """``sha256:...`` over the content of a revision, which a rollback to it restores. Status, times, description and
    results of hooks do not count, nor how numbers are written: when Helm rewrites a record, every number is a float.

    Takes time that grows with the record: call it in a thread.
    """
    hooks = [[hook.get(name) or None for name in _HOOK_FIELDS] for hook in record.hooks]
    chart = record.chart.get("metadata") or {}
    held = [record.name, record.namespace, record.version, chart, record.config, record.manifest, hooks]
    return digest(with_floats(held))


def summarise(secret: Manifest) -> Summary | None:
    """What the metadata of a record's Secret says; None when it is not a record of Helm's."""
    metadata = secret["metadata"]
    labels = metadata.get("labels") or {}
    version = whole_number(str(labels.get("version", "")))
    if labels.get("owner") != "helm" or version is None:
        return None
    return Summary(
        name=str(labels.get("name", "")),
        namespace=str(metadata.get("namespace", "")),
        version=version,
        status=cast("Status", labels.get("status", "unknown")),
        modified=str(labels.get("modifiedAt") or labels.get("createdAt") or ""),
        annotations=metadata.get("annotations") or {},
    )


def _dump(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # an integer of more than 64 bits, which values may hold
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _unpack(packed: bytes, name: str) -> bytes:
    body, rest = packed, b""
    if packed[:2] == b"\x1f\x8b":  # Helm reads records from before it compressed them, so do we
        unpacker = zlib.decompressobj(wbits=31)
        body = unpacker.decompress(packed, MAX_RECORD)
        rest = unpacker.unconsumed_tail
    if rest or json_weight(body) > MAX_WEIGHT:
        limit = f"{MAX_RECORD >> 20} MiB, or {MAX_WEIGHT >> 20} MiB of memory"
        raise RecordError(f"the release record {name} unpacks to more than {limit}", secret=name)
    return body


def _to_helm(record: Record) -> dict[str, Any]:
    info = {
        "first_deployed": record.first_deployed,
        "last_deployed": record.last_deployed,
        "deleted": record.deleted,
        "description": record.description,
        "status": record.status,
        "notes": record.notes,
    }
    body = {
        "name": record.name,
        "info": _stated(info),
        "chart": record.chart,
        "config": record.config,
        "manifest": record.manifest,
        "hooks": record.hooks,
        "version": record.version,
        "namespace": record.namespace,
        "apply_method": record.apply_method,
    }
    return _stated(body)


def _stated(fields: dict[str, Any]) -> dict[str, Any]:
    """Without what is empty: Go's ``omitempty``, which all of these have (pkg/release/v1/release.go and info.go)."""
    return {name: value for name, value in fields.items() if value}


def _from_helm(body: dict[str, Any], metadata: dict[str, Any], held: object) -> Record:
    info = body.get("info") or {}
    labels = metadata.get("labels") or {}
    return Record(
        name=body["name"],
        namespace=body.get("namespace") or metadata["namespace"],
        version=int(body["version"]),
        status=info.get("status") or "unknown",
        chart=body.get("chart") or {},
        config=body.get("config") or {},
        manifest=body.get("manifest") or "",
        hooks=[{key: value for key, value in hook.items() if value is not None} for hook in body.get("hooks") or ()],
        notes=info.get("notes") or "",
        description=info.get("description") or "",
        first_deployed=info.get("first_deployed") or "",
        last_deployed=info.get("last_deployed") or "",
        deleted=info.get("deleted") or "",
        apply_method=body.get("apply_method") or "",
        labels={key: value for key, value in labels.items() if key not in _SYSTEM_LABELS},
        annotations=metadata.get("annotations") or {},
        held=held,
    )
