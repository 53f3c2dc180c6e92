"""One file, from bytes to desired objects."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import structlog

from gitsync.api import RESOURCES, ObjectKey, check, dotted
from gitsync.api.identity import Origin
from gitsync.api.names import HELM_GROUP, SOURCE_GROUP
from gitsync.errors import FieldErrors, ManifestError, YamlError
from gitsync.kubeyaml import Document, decode, read, split
from gitsync.manifests.content import DesiredObject, FileContent, Source
from gitsync.manifests.limits import MAX_ERRORS, MAX_OBJECT_BYTES
from gitsync.manifests.objects import Fault, faults, is_list, is_manifest, items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gitsync.api import FieldError, FieldPath, Manifest

log = structlog.get_logger(__name__)


def parse_file(path: str, data: bytes, default_namespace: str = "default") -> FileContent:
    """The objects and errors of one file of a repository. Pure, and never raises for what the file holds.

    A document without apiVersion and kind is passed over. Kinds of our own that name no namespace get
    ``default_namespace``; other objects are left without one, since only the cluster knows which kinds have namespaces.
    """
    return _File(path, default_namespace).parse(data)


class _TooManyErrors(Exception):
    pass


class _File:
    def __init__(self, path: str, default_namespace: str) -> None:
        self._path = path
        self._default_namespace = default_namespace
        self._objects: list[DesiredObject] = []
        self._errors: list[ManifestError] = []
        self._unreadable = False

    def parse(self, data: bytes) -> FileContent:
        try:
            self._documents(data)
        except _TooManyErrors:
            self._unreadable = True
            self._errors.append(ManifestError("more errors than are shown here", origin=Origin(self._path)))
        # What else a file holds whose documents cannot all be read may be half of what was meant.
        return FileContent(() if self._unreadable else tuple(self._objects), tuple(self._errors))

    def _documents(self, data: bytes) -> None:
        try:
            for document in split(decode(data)):
                self._document(document)
        except YamlError as error:
            self._cannot_read(error)

    def _document(self, document: Document) -> None:
        try:
            reading = read(document.text, unique_keys=True, first_line=document.line)
        except YamlError as error:
            self._cannot_read(error)
            return
        origin = Origin(self._path, reading.line, reading.column)
        if reading.root == "mapping":
            self._value(reading.value, origin, Source(self._path, document.text, document.line), ())
        elif reading.root:
            log.debug("not a manifest", path=self._path, line=reading.line, reason=f"a {reading.root}")

    def _value(self, value: Any, origin: Origin, source: Source, base: FieldPath) -> None:
        if not isinstance(value, dict) or not is_manifest(value):
            if base:
                self._add_error(ManifestError("an item of the list is no object", origin=origin))
            else:
                log.debug("not a manifest", path=self._path, line=origin.line, reason="no apiVersion and kind")
        elif is_list(value):
            for index, item in enumerate(items(value)):
                path = (*base, "items", index)
                self._value(item, source.origin(path), source, path)
        else:
            self._object(value, origin, source, base)

    def _object(self, manifest: Manifest, origin: Origin, source: Source, base: FieldPath) -> None:
        found = faults(manifest)
        if found:
            self._add_faults(found, None, source, base)
            return
        key = ObjectKey.of(manifest)
        is_ours = key.group in (HELM_GROUP, SOURCE_GROUP)
        if is_ours and not key.namespace:
            key = key.within(self._default_namespace)
            manifest["metadata"]["namespace"] = self._default_namespace
        canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if len(canonical) > MAX_OBJECT_BYTES:
            limit = f"{MAX_OBJECT_BYTES // 1024 // 1024} MiB"
            message = (
                f"the object is {len(canonical) / 1024 / 1024:.1f} MiB as JSON, over the API server's limit of {limit}"
            )
            self._add_error(ManifestError(message, origin=origin, key=key))
            return
        model = None
        if is_ours:
            wrong = check(manifest)
            if not wrong and (resource := RESOURCES.get((key.group, key.kind))) is not None:
                try:
                    model = resource.parse(manifest)
                except FieldErrors as error:
                    wrong = list(error.errors)
            if wrong:
                self._add_faults(_as_faults(wrong), key, source, base)
                return
        digest = hashlib.sha256(canonical).hexdigest()
        self._objects.append(DesiredObject(key, manifest, origin, digest, model, source, base))

    def _add_faults(self, found: Iterable[Fault], key: ObjectKey | None, source: Source, base: FieldPath) -> None:
        for fault in found:
            origin = source.origin((*base, *fault.path))
            field = dotted(fault.path)
            self._add_error(ManifestError(fault.message, origin=origin, field=field, key=key, hint=fault.hint))

    def _add_error(self, error: ManifestError) -> None:
        if len(self._errors) >= MAX_ERRORS:
            raise _TooManyErrors
        self._errors.append(error)

    def _cannot_read(self, error: YamlError) -> None:
        self._unreadable = True
        origin = Origin(self._path, error.line, error.column)
        self._add_error(ManifestError(error.message, origin=origin, hint=error.hint))


def _as_faults(errors: Iterable[FieldError]) -> list[Fault]:
    return [Fault(error.path, str(error)) for error in errors]
