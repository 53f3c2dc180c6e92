"""Where in the user's files an object that came out of kustomize was written. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gitsync.api.fields import FieldPath
from gitsync.api.identity import Origin
from gitsync.build.files import joined
from gitsync.build.follow import Plan
from gitsync.build.heads import Head
from gitsync.build.kustomization import Kustomization
from gitsync.errors import YamlError
from gitsync.kubeyaml import load
from gitsync.manifests import Place, Source

ANNOTATION: Final = "config.kubernetes.io/origin"
#: The annotation as kustomize writes it, where no text of the user's can be: among the keys of metadata.annotations.
_METADATA: Final = re.compile(r"^metadata:\n", re.MULTILINE)
_WRITTEN: Final = re.compile(rf"^    {re.escape(ANNOTATION)}: \|\n((?:      .*\n?)++)", re.MULTILINE)
_GENERATORS: Final = {"ConfigMapGenerator": "configMapGenerator", "SecretGenerator": "secretGenerator"}


def origin_of(text: str) -> tuple[str, str]:
    """The origin annotation that kustomize has written into a document ("" when there is none), and the document
    without it."""
    metadata = _METADATA.search(text)
    match = _WRITTEN.search(text, metadata.end()) if metadata is not None else None
    if match is None:
        return "", text
    said = "\n".join(line[6:] for line in match[1].splitlines())
    return said, text[: match.start()] + text[match.end() :]


class Origins:
    """Finds the places of the objects of one build. ``heads`` are the documents of its files, by the user's path."""

    def __init__(self, plan: Plan, heads: Mapping[str, Sequence[Head]]) -> None:
        self._plan = plan
        self._heads = heads
        self._used: set[tuple[str, int]] = set()

    def place(self, said: str, built: Head) -> Place:
        """The place of an object. ``said`` is its origin annotation, ``built`` the object as kustomize wrote it."""
        told = _read(said)
        if isinstance(path := told.get("path"), str):
            found = joined(self._plan.directory, path)
            if found is not None:
                return self._in_file(self._plan.place(found), built)
        if isinstance(path := told.get("configuredIn"), str):
            by = told.get("configuredBy")
            kind = str(by.get("kind")) if isinstance(by, dict) else ""
            if not kind.endswith("Transformer"):  # a transformer has replaced the annotations of an object
                return self._generated(path, kind, built)
        return self._by_name(built)

    def _in_file(self, path: str, built: Head) -> Place:
        heads = self._heads.get(path, ())
        index = min(range(len(heads)), key=lambda index: self._distance(path, index, built), default=None)
        if index is None:
            return Place(Origin(path, 1), Source(path, "", 1), ())
        self._used.add((path, index))
        return _at(path, heads[index])

    def _distance(self, path: str, index: int, built: Head) -> tuple[int, int]:
        """How unlike an object a document is, for finding the one that it was made of: patches may have changed its
        name, and even its kind."""
        head = self._heads[path][index]
        used = int((path, index) in self._used)
        if (head.kind, head.group) != (built.kind, built.group):
            return 4 + (not head.kind.endswith("List")), used
        if head.name == built.name:
            return 0, used
        return (1 if head.name in built.name else 2) + used, 0

    def _generated(self, path: str, by: str, built: Head) -> Place:
        found = joined(self._plan.directory, path) or ""
        kustomization = self._plan.kustomizations.get(posixpath.dirname(found))
        if kustomization is None:
            return self._in_file(self._plan.place(found), built)
        name = _GENERATORS.get(by, "generators")
        return _at_field(kustomization, _entry(kustomization, name, built.name))

    def _by_name(self, built: Head) -> Place:
        """For an object whose annotation a patch has taken away."""
        best: tuple[int, Place] | None = None
        for path, heads in self._heads.items():
            for head in heads:
                alike = (head.kind, head.group) == (built.kind, built.group) and head.name in built.name
                if alike and (best is None or len(head.name) > best[0]):
                    best = (len(head.name), _at(path, head))
        if best is not None:
            return best[1]
        return _at_field(self._plan.kustomizations[self._plan.directory], ())


def _at(path: str, head: Head) -> Place:
    return Place(Origin(path, head.line, head.column), Source(path, head.text, head.text_line), ())


def _at_field(kustomization: Kustomization, field: FieldPath) -> Place:
    source = kustomization.source or Source(kustomization.path, "", 1)
    return Place(kustomization.origin(field), source, field)


def _entry(kustomization: Kustomization, name: str, built: str) -> FieldPath:
    """The entry of a generator that an object of this name came from: the one with the longest name in it."""
    entries = kustomization.fields.get(name)
    best: tuple[int, FieldPath] = (-1, (name,))
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        written = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(written, str) and written in built and len(written) > best[0]:
            best = (len(written), (name, index))
    return best[1]


def _read(said: str) -> Mapping[str, Any]:
    try:
        told = load(said) if said else None
    except YamlError:
        return {}
    return told if isinstance(told, dict) else {}
