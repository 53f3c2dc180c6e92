"""What this room is asked with and answers with: plain data, no I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest


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
