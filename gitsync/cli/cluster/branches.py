"""A release as a tree: its objects, what they own, and how each of them is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gitsync.api.identity import Manifest, ObjectKey
from gitsync.health import assess, pods_of


@dataclass(frozen=True, slots=True)
class Branch:
    """One object, how it is (``missing`` is a status of its own), and what belongs to it."""

    key: ObjectKey
    status: str
    message: str = ""
    children: tuple[Branch, ...] = ()

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "group": self.key.group,
            "kind": self.key.kind,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "status": self.status,
            "message": self.message,
            "children": [child.data() for child in self.children],
        }


class Grower:
    """Grows branches. ``owned`` are the objects that may belong to others (ReplicaSets, Jobs, Pods)."""

    def __init__(self, owned: Iterable[Manifest]) -> None:
        self._children: dict[str, list[Manifest]] = {}
        self._pods: list[Manifest] = []
        for manifest in owned:
            if manifest["kind"] == "Pod":
                self._pods.append(manifest)
            for owner in manifest["metadata"].get("ownerReferences") or ():
                self._children.setdefault(owner.get("uid", ""), []).append(manifest)

    def grow(self, key: ObjectKey, live: Manifest | None) -> Branch:
        """The branch of an object; None when it is not there."""
        if live is None:
            return Branch(key, "missing", "is not in the cluster")
        health = assess(live, pods_of(live, self._pods))
        children = tuple(self.grow(ObjectKey.of(child), child) for child in self._below(live))
        return Branch(key, health.status, health.message, children)

    def _below(self, live: Manifest) -> Sequence[Manifest]:
        """What an object owns, without what a Deployment keeps of old revisions: ReplicaSets scaled to nothing."""
        found = self._children.get(live["metadata"]["uid"], ())
        wanted = [item for item in found if not _scaled_to_nothing(item) or self._below(item)]
        return sorted(wanted, key=ObjectKey.of)


def drawn(branch: Branch) -> list[list[str]]:
    """Rows of name, status and message, the names with the lines of a tree."""
    return [[branch.key.kind + "/" + branch.key.name, branch.status, branch.message], *_drawn(branch.children, "")]


def _drawn(branches: Sequence[Branch], indent: str) -> Iterable[list[str]]:
    for number, branch in enumerate(branches, 1):
        last = number == len(branches)
        name = f"{branch.key.kind}/{branch.key.name}"
        yield [f"{indent}{'└── ' if last else '├── '}{name}", branch.status, branch.message]
        yield from _drawn(branch.children, indent + ("    " if last else "│   "))


def _scaled_to_nothing(manifest: Manifest) -> bool:
    return manifest["kind"] == "ReplicaSet" and (manifest.get("spec") or {}).get("replicas") == 0
