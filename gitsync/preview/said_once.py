"""Collects warnings about many Kustomizations that have one reason, so that each reason is given once. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from gitsync.api.identity import ObjectKey
from gitsync.manifests import DesiredObject, ManifestWarning
from gitsync.text import counted

#: Why variables are not known.
Why = Literal["missing", "encrypted", "secret"]
NOT_CHECKED = "what is in it is not checked"


@dataclass
class _About:
    """The Kustomizations concerned, and the objects that they name, in the order of their coming."""

    items: list[DesiredObject] = field(default_factory=list)
    keys: dict[ObjectKey, None] = field(default_factory=dict)

    def add(self, item: DesiredObject, key: ObjectKey) -> None:
        self.items.append(item)
        self.keys[key] = None

    @property
    def is_many(self) -> bool:
        return len(self.keys) > 1

    @property
    def named(self) -> str:
        first, *others = self.keys
        return f"{first} and {counted(len(others), 'other')} of that name" if others else str(first)

    def tail(self, verb: str) -> str:
        """How many Kustomizations it is about, where that is not one."""
        return f" ({counted(len(self.items), 'Kustomization')} {verb})" if len(self.items) > 1 else ""


class SaidOnce:
    """Sources of variables that are not known, and sources that are other repositories, or nowhere. What many
    Kustomizations have for one reason is said at the first; a Secret of one name in many namespaces, which something
    hands out there, is one reason."""

    def __init__(self) -> None:
        self._variables: dict[tuple[str, str, Why], _About] = {}
        self._sources: dict[ObjectKey, _About] = {}
        self._taken: dict[ObjectKey, _About] = {}
        self._shared: dict[tuple[ObjectKey, ObjectKey | None], tuple[DesiredObject, list[ObjectKey]]] = {}

    def lacks_variables(self, item: DesiredObject, key: ObjectKey, why: Why) -> None:
        """A Kustomization takes variables from an object that cannot be read here."""
        self._variables.setdefault((key.kind, key.name, why), _About()).add(item, key)

    def reads_elsewhere(self, item: DesiredObject, source: ObjectKey) -> None:
        """A Kustomization reads another repository."""
        self._sources.setdefault(source, _About()).add(item, source)

    def takes_as_own(self, item: DesiredObject, source: ObjectKey) -> None:
        """A Kustomization is taken to read this repository, since nothing says what its source is."""
        self._taken.setdefault(source, _About()).add(item, source)

    def has_too(self, item: DesiredObject, key: ObjectKey, by: ObjectKey | None) -> None:
        """A Kustomization has an object that comes ``by`` another one already; None for the directory itself."""
        self._shared.setdefault((item.key, by), (item, []))[1].append(key)

    def warnings(self, present: Container[ObjectKey]) -> Iterator[ManifestWarning]:
        """All of it, each at the first Kustomization that it is about; ``present`` is what the commit has."""
        for (_, _, why), about in self._variables.items():
            yield _warning(about, _unknown(about, why) + about.tail("take them"))
        for source, about in self._sources.items():
            yield _warning(about, f"{not_here(source)}{about.tail('read it')}")
        for source, about in self._taken.items():
            if source not in present:
                said = f"{source} is not in the repository, and is taken to be it{about.tail('read it')}"
                yield replace(_warning(about, said), hint="without it nothing is applied: add it, if nothing else does")
        for (_, by), (item, keys) in self._shared.items():
            yield ManifestWarning(item.origin, item.key, _shared(by, keys), f"leave {_whom(keys)} to one of the two")


def not_here(source: ObjectKey) -> str:
    """The text about a source that is another repository."""
    return f"{source} is not this repository: {NOT_CHECKED}"


def _shared(by: ObjectKey | None, keys: Sequence[ObjectKey]) -> str:
    first, *others = keys
    more = f" and {counted(len(others), 'other object')}" if others else ""
    verb = "come" if others else "comes"
    whom = _whom(keys)
    other = by or "the directory that is synced"
    return f"{first}{more} of it {verb} by {other}, too: who applies {whom} first has {whom}"


def _whom(keys: Sequence[ObjectKey]) -> str:
    return "them" if len(keys) > 1 else "it"


def _unknown(about: _About, why: Why) -> str:
    if why == "missing":
        verb, whose = ("are", "their") if about.is_many else ("is", "its")
        return f"{about.named} {verb} not in the repository: {whose} variables are not known"
    how = "are encrypted with SOPS" if why == "encrypted" else "may be secret"
    return f"the variables of {about.named} {how}, and are not known here"


def _warning(about: _About, message: str) -> ManifestWarning:
    first = about.items[0]
    return ManifestWarning(first.origin, first.key, message)
