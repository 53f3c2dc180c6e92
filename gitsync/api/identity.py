"""What an object is called, and where it was written: the two words every room shares."""

from __future__ import annotations

from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple

#: A Kubernetes object as JSON: what the API server takes and gives, never a generated model.
Manifest = dict[str, Any]


class ObjectKey(NamedTuple):
    """Identity of an object: (group, kind, namespace, name). ``namespace`` is "" for cluster-scoped kinds."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.namespace else f"{self.kind}/{self.name}"

    @classmethod
    def of(cls, manifest: Manifest) -> ObjectKey:
        """The key of a manifest that has apiVersion, kind and metadata.name.

        Raises: KeyError when one of them is missing.
        """
        metadata = manifest["metadata"]
        group, kind = group_of(manifest["apiVersion"]), manifest["kind"]
        return cls(shared(group), shared(kind), shared(metadata.get("namespace") or ""), metadata["name"])

    @property
    def namespaced_name(self) -> str:
        """``namespace/name``; the name alone of what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    def holds(self, other: ObjectKey) -> bool:
        """Whether this is the Namespace that another object is in."""
        return (self.group, self.kind, self.name) == ("", "Namespace", other.namespace)

    def within(self, namespace: str) -> ObjectKey:
        """The same object with its namespace filled in, when it has none."""
        return self if self.namespace else self._replace(namespace=namespace)


def shared(text: str) -> str:
    """The same text, once for all who have it: keys are kept of every object, in many places, and few kinds and
    namespaces are in all of them."""
    return intern(text) if type(text) is str else text


def says(manifest: Manifest, name: str, value: str) -> bool:
    """Whether an annotation or a label of an object has this value, in whatever case: Flux takes either."""
    metadata = manifest.get("metadata") or {}
    found = ((metadata.get(field) or {}).get(name, "") for field in ("annotations", "labels"))
    return any(str(one).lower() == value for one in found)


def group_of(api_version: str) -> str:
    """``apps/v1`` -> ``apps``; ``v1`` -> "" (the core group)."""
    return api_version.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in the repository. ``line`` and ``column`` are 1-based; 0 when only the file is known."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.path
        return f"{self.path}:{self.line}:{self.column}" if self.column else f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """The commit that caused something: what log lines, records, conditions and the journal carry.

    ``time`` is the committer's, in seconds since the epoch.
    """

    id: str
    author: str = ""
    subject: str = ""
    time: float = 0.0

    @property
    def short(self) -> str:
        """The first seven digits, as ``git log --oneline`` shows them."""
        return self.id[:7]


def without_managed_fields(manifest: Manifest) -> Manifest:
    """An object without the record of who has written which field of it, which is long. A new one."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "managedFields"}
    return {**manifest, "metadata": metadata}
