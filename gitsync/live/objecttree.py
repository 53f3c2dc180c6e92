"""Objects as a tree, with what they bring, what they own and how healthy each is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

from gitsync.api.conditions import condition_of
from gitsync.api.identity import Manifest, ObjectKey
from gitsync.health import assess, pods_of

#: Types of conditions that say whether an object is ready, in the order in which they are looked at.
_READINESS = ("Ready", "Available", "Complete", "Failed")


@dataclass(frozen=True)
class Part:
    """An object as it was found, None when it does not exist; and the objects that it has brought (``inside``), None
    for one that brings nothing. ``source`` is the source of these. Those in another ``cluster`` are ``elsewhere``;
    ``note`` says why they are not known."""

    key: ObjectKey
    live: Manifest | None
    inside: tuple[Part, ...] | None = None
    source: str = ""
    cluster: str = ""
    elsewhere: tuple[ObjectNode, ...] = ()
    note: str = ""

    def namespaces(self) -> set[str]:
        """The namespaces of all objects in it that may own others."""
        if self.inside is None:
            return {self.key.namespace} if self.live is not None and self.key.namespace else set()
        return set().union(*(part.namespaces() for part in self.inside))


@dataclass(frozen=True, slots=True)
class ObjectNode:
    """One object, its status (which may be ``missing``), and what belongs to it. ``source`` is the source of what it
    brings, ``cluster`` the name of the other cluster that this goes to; ``reason`` is one word, ``since`` when it
    got this status (RFC 3339), "" when that is not known."""

    key: ObjectKey
    status: str
    message: str = ""
    children: tuple[ObjectNode, ...] = ()
    source: str = ""
    reason: str = ""
    since: str = ""
    cluster: str = ""

    def data(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "group": self.key.group,
            "kind": self.key.kind,
            "namespace": self.key.namespace,
            "name": self.key.name,
            "status": self.status,
            "message": self.message,
            "source": self.source,
            "cluster": self.cluster,
            "children": [child.data() for child in self.children],
        }


class TreeBuilder:
    """Builds trees. ``owned`` are the objects that may belong to others (ReplicaSets, Jobs, Pods), ``refused`` those
    that are not shown to us, whatever they are."""

    def __init__(self, owned: Iterable[Manifest], refused: Set[ObjectKey] = frozenset()) -> None:
        self._refused = refused
        self._children: dict[str, list[Manifest]] = {}
        self._pods: list[Manifest] = []
        for manifest in owned:
            if manifest["kind"] == "Pod":
                self._pods.append(manifest)
            for owner in manifest["metadata"].get("ownerReferences") or ():
                self._children.setdefault(owner.get("uid", ""), []).append(manifest)

    def build(self, part: Part) -> ObjectNode:
        """The node of an object with all below it."""
        if part.inside is None:
            return self._object(part.key, part.live)
        children = (*(self.build(inner) for inner in part.inside), *part.elsewhere)
        if part.live is None:  # a sync is no object
            return ObjectNode(part.key, "", "", children)
        health = assess(part.live)
        message, moment = health.message or part.note, since(part.live)
        return ObjectNode(part.key, health.status, message, children, part.source, health.reason, moment, part.cluster)

    def _object(self, key: ObjectKey, live: Manifest | None) -> ObjectNode:
        if live is None and key in self._refused:
            return ObjectNode(key, "", "may not be read by you")
        if live is None:
            return ObjectNode(key, "missing", "is not in the cluster")
        health = assess(live, pods_of(live, self._pods))
        children = tuple(self._object(ObjectKey.of(child), child) for child in self._below(live))
        return ObjectNode(key, health.status, health.message, children, "", health.reason, since(live))

    def _below(self, live: Manifest) -> Sequence[Manifest]:
        """The objects that an object owns, without the ReplicaSets of old revisions that a Deployment has scaled to
        nothing."""
        found = self._children.get(live["metadata"]["uid"], ())
        wanted = [item for item in found if not _scaled_to_nothing(item) or self._below(item)]
        return sorted(wanted, key=ObjectKey.of)


def since(live: Manifest) -> str:
    """When an object got its status: when a condition about its readiness changed; of a pod without one, when it was
    created. "" when that is not known."""
    for kind in _READINESS:
        if moment := condition_of(live, kind).get("lastTransitionTime"):
            return str(moment)
    return str(live["metadata"].get("creationTimestamp") or "") if live["kind"] == "Pod" else ""


def draw(node: ObjectNode) -> list[list[str]]:
    """Rows of name, status and message, the names with the lines of a tree. Of what is in a tree it says where its
    content comes from, and to which other cluster it goes, as long as there is nothing else to say."""
    message = node.message or (_where(node) if node.cluster else "")
    return [[_name(node), node.status, message], *_draw(node.children, "")]


def _where(node: ObjectNode) -> str:
    to = f", in the cluster of {node.cluster}" if node.cluster else ""
    return f"from {node.source}{to}" if node.source else ""


def _draw(nodes: Sequence[ObjectNode], indent: str) -> Iterable[list[str]]:
    for number, node in enumerate(nodes, 1):
        last = number == len(nodes)
        message = node.message or _where(node)
        yield [f"{indent}{'└── ' if last else '├── '}{_name(node)}", node.status, message]
        yield from _draw(node.children, indent + ("    " if last else "│   "))


def _name(node: ObjectNode) -> str:
    return f"{node.key.kind}/{node.key.name}"


def _scaled_to_nothing(manifest: Manifest) -> bool:
    return manifest["kind"] == "ReplicaSet" and (manifest.get("spec") or {}).get("replicas") == 0
