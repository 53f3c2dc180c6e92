"""What kustomize complains of, as errors with the user's file and line. Pure; quotes nothing but names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from gitsync.api.fields import FieldPath
from gitsync.api.identity import Origin
from gitsync.build.files import joined
from gitsync.build.follow import Plan
from gitsync.build.heads import head_of, heads
from gitsync.build.kustomization import Kustomization
from gitsync.errors import KustomizeError, ManifestError, YamlError
from gitsync.kubeyaml import read, split
from gitsync.manifests import parse_file
from gitsync.text import listed

#: Faults of a file that are kustomize's, too, of all that can be wrong with a manifest.
_FIELDS: Final = ("", "apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace")
_UNKNOWN_FIELD: Final = re.compile(r"unknown field \"([^\"]+)\"")
_WRONG_TYPE: Final = re.compile(r"Go struct field \w+\.([\w.]+) of type")
_ID: Final = re.compile(r"\b([A-Z]\w+)\.[\w.]*\[?[\w.-]*\]?/([^\s\[\]]+?)\.(?:\[noNs\]|[\w-]+)")
_BAD_PATCH: Final = "unable to parse"
_TWICE: Final = re.compile(r"already registered id: (\w+)\.\S*/(\S+)\.(?:\[noNs\]|[\w-]+)")
#: What Go's reader of YAML says where kustomize does not say of which file, of a key that is given twice for one.
_NO_YAML: Final = "yaml: "
_NO_TARGET: Final = ("no matches for Id", "no resource matches", "failed to find unique target")


def blamed(error: KustomizeError, plan: Plan, contents: Mapping[str, bytes]) -> list[ManifestError]:
    """The errors for a plan that kustomize refuses. ``contents`` are the files that kustomize was given, by their paths
    there."""
    if error.path in contents and (faults := list(_faults(plan.place(error.path), contents[error.path]))):
        return faults
    if _NO_YAML in error.message and (faults := list(_all_faults(plan, contents))):
        return faults
    if _BAD_PATCH in error.message and (faults := list(_bad_patches(plan, contents))):
        return faults
    message = _with_users_paths(error.message, plan)
    twice = _TWICE.search(error.message)
    hint = _places_of(twice[1], twice[2], plan, contents) if twice is not None else error.hint
    if error.path in contents:
        return [ManifestError(message, origin=Origin(plan.place(error.path), 1), hint=hint)]
    kustomization, field = _place(error, plan, contents)
    shown = kustomization.shown(field) if field else ""
    text = f"{shown}: {message}" if shown else message
    if _UNKNOWN_FIELD.search(message) is not None and field:
        text = f"{shown} is no field that kustomize knows"
    return [ManifestError(text, origin=kustomization.origin(field), field=shown, hint=hint)]


def _places_of(kind: str, name: str, plan: Plan, contents: Mapping[str, bytes]) -> str:
    """Where the files have an object that is there twice; "" when none of them has it by this name."""
    places = []
    for jailed, data in contents.items():
        path = plan.place(jailed)
        with suppress(ManifestError):  # no file of objects
            places += [str(Origin(path, it.line)) for it in heads(path, data) if (it.kind, it.name) == (kind, name)]
    if len(places) == 1:
        return f"{places[0]} is read twice"
    return f"it is in {listed(sorted(places), separator=' and ')}" if places else ""


def _faults(path: str, data: bytes) -> Iterator[ManifestError]:
    """What is wrong with a file of manifests itself."""
    for fault in parse_file(path, data).errors:
        if fault.field in _FIELDS and fault.key is None:
            yield fault


def _all_faults(plan: Plan, contents: Mapping[str, bytes]) -> Iterator[ManifestError]:
    """What is wrong with any of the files of manifests."""
    for jailed, data in contents.items():
        yield from _faults(plan.place(jailed), data)


def _bad_patches(plan: Plan, contents: Mapping[str, bytes]) -> Iterator[ManifestError]:
    """Patches that are no YAML, in files and inline. kustomize does not say why."""
    for kustomization in plan.kustomizations.values():
        for field, text, path in _patches(kustomization, plan, contents):
            try:
                for document in split(text):
                    read(document.text, first_line=document.line)
            except YamlError as error:
                origin = Origin(path, error.line, error.column) if path else kustomization.origin(field)
                line = "" if path else f"{kustomization.shown(field)}: line {error.line} of the patch: "
                yield ManifestError(f"{line}{error.message}", origin=origin, hint=error.hint)


def _patches(
    kustomization: Kustomization, plan: Plan, contents: Mapping[str, bytes]
) -> Iterator[tuple[FieldPath, str, str]]:
    """The patches of a kustomization: the field, the text, and the user's path of a file."""
    for name in ("patches", "patchesStrategicMerge", "patchesJson6902"):
        entries = kustomization.fields.get(name)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            text = entry.get("patch") if isinstance(entry, dict) else entry
            path = entry.get("path") if isinstance(entry, dict) else entry
            found = joined(kustomization.directory, path) if isinstance(path, str) and "\n" not in path else None
            jailed = next((item for item in contents if plan.place(item) == found), None)
            if found is not None and jailed is not None:
                yield (name, index), contents[jailed].decode("utf-8", "replace"), found
            elif isinstance(text, str):
                yield (name, index), text, ""


def _place(error: KustomizeError, plan: Plan, contents: Mapping[str, bytes]) -> tuple[Kustomization, FieldPath]:
    """The kustomization that a complaint is about, and the field of it; () when that cannot be told."""
    named = plan.kustomizations.get(error.path if error.path != "." else "")
    named = named or next((item for item in plan.kustomizations.values() if item.path == error.path), None)
    named = named or plan.kustomizations[plan.directory]
    for candidate in (named, *plan.kustomizations.values()):
        if field := _field(error.message, candidate, plan, contents):
            return candidate, field
    return named, ()


def _field(message: str, kustomization: Kustomization, plan: Plan, contents: Mapping[str, bytes]) -> FieldPath:
    """The field of a kustomization that a message is about; () for none."""
    if (match := _UNKNOWN_FIELD.search(message)) is not None:
        return _find(kustomization.fields, match[1], ())
    if (match := _WRONG_TYPE.search(message)) is not None:
        name = match[1].split(".")[0]
        return (name,) if name in kustomization.fields else ()
    if any(words in message for words in _NO_TARGET):
        named = set(_ID.findall(message))
        for field, text, _ in _patches(kustomization, plan, contents):
            if any(_is_about(text, kind, name) for kind, name in named):
                return field
    return ()


def _find(value: Any, name: str, path: FieldPath) -> FieldPath:
    """The path of the first field with this name; () for none."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if key == name:
            return (*path, key)
        if found := _find(child, name, (*path, key)):
            return found
    return ()


def _is_about(text: str, kind: str, name: str) -> bool:
    try:
        heads = [head_of(document.text) for document in split(text)]
    except YamlError:
        return False
    return any((head.kind, head.name) == (kind, name) for head in heads)


def _with_users_paths(message: str, plan: Plan) -> str:
    for jailed, path in plan.places.items():
        message = message.replace(jailed, path).replace(posixpath.join(*jailed.split("/")[-3:]), path)
    return message
