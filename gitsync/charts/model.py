"""What this room is asked with and answers with: plain data, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from yarl import URL

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


def redacted(url: str | URL) -> str:
    """The URL without user, password and query (signed URLs carry credentials there), for messages and logs."""
    try:
        parsed = URL(url) if isinstance(url, str) else url
        return str(parsed.with_user(None).with_query(None).with_fragment(None))
    except ValueError:
        return "(unreadable URL)"


@dataclass(frozen=True, slots=True, repr=False)
class RepositorySpec:
    """A chart repository and how to reach it. Secrets stay out of its repr.

    ``ca``, ``cert`` and ``key`` are PEM texts. ``timeout`` is for a whole request, in seconds, redirects included.
    ``pass_credentials`` sends the credentials also to other hosts that the index or a redirect names.
    """

    url: str
    username: str = ""
    password: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""
    pass_credentials: bool = False
    timeout: float = 60.0

    def __repr__(self) -> str:
        return f"RepositorySpec({redacted(self.url)!r})"

    @property
    def id(self) -> str:
        """Names the repository in caches; differs when the credentials do, since they may decide what is shown."""
        parts = (self.url, self.username, self.password, self.ca, self.cert, self.key)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """The state of a repository's index: ``revision`` is ``sha256:<hex of the file>``, ``url`` where it was read.

    ``changed`` tells whether this refresh brought another revision than the one before.
    """

    revision: str
    url: str
    changed: bool
    charts: int


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of one chart in an index. ``digest`` is the archive's sha256 in hex, "" when the index has none."""

    version: str
    digest: str
    urls: tuple[str, ...]
    created: str = ""
    app_version: str = ""


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """What templates see as ``.Release``."""

    name: str
    namespace: str
    revision: int = 1
    is_install: bool = True
    is_upgrade: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What templates see as ``.Capabilities``: the cluster's version (``v1.36.3``) and what it serves.

    ``api_versions`` has both ``group/version`` and ``group/version/Kind`` entries, as Helm's has; see ``of``.
    """

    kube_version: str
    api_versions: tuple[str, ...]

    @classmethod
    def of(cls, kube_version: str, resources: Iterable[tuple[str, str, str]]) -> Capabilities:
        """From discovery: (group, version, kind) of everything the cluster serves, subresources included."""
        found: dict[str, None] = {}
        for group, version, kind in resources:
            api_version = f"{group}/{version}" if group else version
            found[api_version] = None
            if kind:
                found[f"{api_version}/{kind}"] = None
        return cls(kube_version, tuple(sorted(found)))

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256("\0".join((self.kube_version, *self.api_versions)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as Helm's record has it, and its object. ``path`` is the template's, ``events`` like ``pre-install``."""

    name: str
    kind: str
    path: str
    manifest: str
    events: tuple[str, ...]
    weight: int
    delete_policies: tuple[str, ...]
    output_log_policies: tuple[str, ...]
    object: Manifest

    def record(self) -> dict[str, Any]:
        """This hook, not run yet, as an entry of ``hooks`` in Helm's release record."""
        entry: dict[str, Any] = {
            "name": self.name,
            "kind": self.kind,
            "path": self.path,
            "manifest": self.manifest,
            "events": list(self.events),
            "last_run": {"phase": ""},
            "weight": self.weight,
            "delete_policies": list(self.delete_policies),
            "output_log_policies": list(self.output_log_policies),
        }
        # Go leaves out what is empty, except last_run.
        return {name: value for name, value in entry.items() if value or name == "last_run"}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A chart rendered with values. Shared between callers through a cache: read it, never change it.

    ``manifest`` is the text of Helm's record, ``objects`` what Kubernetes reads in it, in Helm's install order; hooks
    are not among them. ``crds`` are those of the chart and its enabled subcharts; ``chart_record`` is the ``chart``
    member of Helm's record, which depends on the values too (disabled subcharts are left out of its metadata).
    """

    manifest: str
    objects: tuple[Manifest, ...]
    hooks: tuple[Hook, ...]
    notes: str
    crds: tuple[Manifest, ...]
    chart_record: dict[str, Any] = field(repr=False)
