"""One file, from bytes to desired objects."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import structlog

from gitsync.api import RESOURCES, ObjectKey, check, dotted
from gitsync.api.identity import Origin
from gitsync.api.kinds import NOTIFICATION_GROUP, SOURCE_EXTENSIONS_GROUP
from gitsync.api.names import HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP
from gitsync.errors import EncryptedError, FieldErrors, ManifestError, YamlError
from gitsync.kubeyaml import Document, decode, read, split
from gitsync.manifests.content import DesiredObject, FileContent, ManifestWarning, Source
from gitsync.manifests.faults import Fault, faults, is_list, is_manifest, items
from gitsync.manifests.limits import MAX_ERRORS, MAX_OBJECT_BYTES
from gitsync.manifests.placeholders import (
    ENCRYPTED,
    LFS_POINTER,
    as_it_stays,
    has_encrypted_kind,
    is_encrypted,
    is_lfs_pointer,
    stays_encrypted,
    variable_faults,
)
from gitsync.manifests.serverset import take_server_set
from gitsync.manifests.unread import Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gitsync.api import FieldError, FieldPath, Manifest

log = structlog.get_logger(__name__)

_OUR_GROUPS: Final = (HELM_GROUP, KUSTOMIZE_GROUP, SOURCE_GROUP, SOURCE_EXTENSIONS_GROUP, NOTIFICATION_GROUP)
_LFS_HINT: Final = "commit the file itself, after git lfs untrack, or name it in .sourceignore"
_ENCRYPTED_HINT: Final = "have it applied by a Kustomization with spec.decryption, or name the file in .sourceignore"
_WHOLLY_SEALED: Final = "encrypted with SOPS as a whole: without the keys it is not known what it is"
_SERVER_SET_HINT: Final = "take it out of the file, too: kubectl get prints it of an object in a cluster"


def parse_file(path: str, data: bytes, default_namespace: str = "default") -> FileContent:
    """The objects and errors of one file of a repository. Pure, and never raises for what the file holds.

    A document without apiVersion and kind is no object, and is among what was not read. Fields that only the API server
    sets are taken out of an object, with a warning. Kinds of our own that name no namespace get ``default_namespace``;
    other objects are left without one, since only the cluster knows which kinds have namespaces.
    """
    return _File(path, default_namespace).parse(data)


def parse_value(
    value: dict[str, Any],
    place: Place,
    default_namespace: str = "default",
    *,
    substituted: bool = False,
    sealed: bool = False,
) -> FileContent:
    """The objects and errors of a document that a build has made: ``value``, which comes from this ``place`` of a file.
    As ``parse_file``, but a document that is no object is an error. ``substituted``: its variables have been replaced,
    and a text that still looks like one is meant as it is. ``sealed``: its values are encrypted, so that only its kind,
    name and namespace can be checked.
    """
    return _File(place.origin.path, default_namespace, substituted=substituted, sealed=sealed).value(value, place)


class _TooManyErrors(Exception):
    pass


class Place(NamedTuple):
    """A value of a document of a file: where it begins, and its path from the document's root."""

    origin: Origin
    source: Source
    base: FieldPath


class _File:
    def __init__(self, path: str, default_namespace: str, *, substituted: bool = False, sealed: bool = False) -> None:
        self._path = path
        self._default_namespace = default_namespace
        self._substituted = substituted
        self._sealed = sealed
        self._objects: list[DesiredObject] = []
        self._errors: list[ManifestError] = []
        self._warnings: list[ManifestWarning] = []
        self._unread: list[Unread] = []
        self._unreadable = False

    def parse(self, data: bytes) -> FileContent:
        if is_lfs_pointer(data):
            error = ManifestError(LFS_POINTER, origin=Origin(self._path, 1), hint=_LFS_HINT)
            return FileContent(errors=(error,))
        return self._content(lambda: self._documents(data))

    def value(self, value: dict[str, Any], place: Place) -> FileContent:
        return self._content(lambda: self._value(value, place))

    def _content(self, read: Callable[[], None]) -> FileContent:
        try:
            read()
        except _TooManyErrors:
            self._unreadable = True
            self._errors.append(ManifestError("more errors than are shown here", origin=Origin(self._path)))
        if self._unreadable:
            # The objects in the part that can be read may be half of what was meant.
            return FileContent(errors=tuple(self._errors))
        return FileContent(tuple(self._objects), tuple(self._errors), tuple(self._warnings), tuple(self._unread))

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
            place = Place(origin, Source(self._path, document.text, document.line), ())
            self._root(reading.value, place)
        elif reading.root:
            what = "a list" if reading.root == "sequence" else "a single value"
            self._pass_over(origin, f"a document that is {what}, not an object")

    def _root(self, value: dict[str, Any], place: Place) -> None:
        encrypted = is_encrypted(value)
        if not is_manifest(value):
            named = isinstance(value.get("metadata"), dict) and isinstance(value["metadata"].get("name"), str)
            reason = "a document without apiVersion and kind" + (f", {ENCRYPTED}" if encrypted else "")
            self._pass_over(place.origin, reason, suspect=named)
        elif encrypted and stays_encrypted(value) and not has_encrypted_kind(value):
            self._value(as_it_stays(value), place)
        elif encrypted:
            key = self._key_of(value)
            self._add_error(EncryptedError(ENCRYPTED, origin=place.origin, key=key, hint=_ENCRYPTED_HINT))
        else:
            self._value(value, place)

    def _pass_over(self, origin: Origin, reason: str, *, suspect: bool = False) -> None:
        log.debug("not a manifest", path=self._path, line=origin.line, reason=reason)
        self._unread.append(Unread(origin, reason, suspect))

    def _value(self, value: Any, place: Place) -> None:
        if not isinstance(value, dict) or not is_manifest(value):
            self._add_error(ManifestError("an item of the list is no object", origin=place.origin))
        elif is_list(value):
            for index, item in enumerate(items(value)):
                path = (*place.base, "items", index)
                self._value(item, Place(place.source.origin(path), place.source, path))
        else:
            self._object(value, place)

    def _object(self, manifest: Manifest, place: Place) -> None:
        if self._sealed and has_encrypted_kind(manifest):
            self._warnings.append(ManifestWarning(place.origin, None, _WHOLLY_SEALED))
            return
        server_set = take_server_set(manifest)
        variables = [] if self._substituted else list(variable_faults(manifest))
        named = {fault.path for fault in variables}
        found = [*variables, *(fault for fault in faults(manifest) if fault.path not in named)]
        if found:
            self._add_faults(found, self._key_of(manifest), place)
            return
        key = ObjectKey.of(manifest)
        is_ours = key.group in _OUR_GROUPS
        if is_ours and not key.namespace:
            key = key.within(self._default_namespace)
            manifest["metadata"]["namespace"] = self._default_namespace
        if server_set:
            self._warn_of(server_set, key, place)
        canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        if len(canonical) > MAX_OBJECT_BYTES:
            self._add_error(_too_large(len(canonical), key, place.origin))
            return
        model = None
        if is_ours and not self._sealed:
            wrong = check(manifest)
            if not wrong and (resource := RESOURCES.get((key.group, key.kind))) is not None:
                try:
                    model = resource.parse(manifest)
                except FieldErrors as error:
                    wrong = list(error.errors)
            if wrong:
                self._add_faults(_as_faults(wrong), key, place)
                return
        digest = hashlib.sha256(canonical).hexdigest()
        sops: Literal["", "sealed"] = "sealed" if self._sealed else ""
        self._objects.append(DesiredObject(key, manifest, place.origin, digest, model, place.source, place.base, sops))

    def _key_of(self, faulty: Manifest) -> ObjectKey | None:
        """Which object a document is about that cannot be used; None when that cannot be told."""
        if faults(faulty):
            return None
        key = ObjectKey.of(faulty)
        return key.within(self._default_namespace) if key.group in _OUR_GROUPS else key

    def _warn_of(self, server_set: Sequence[FieldPath], key: ObjectKey, place: Place) -> None:
        if len(self._warnings) >= MAX_ERRORS:
            self._warnings[MAX_ERRORS:] = [
                ManifestWarning(Origin(self._path), None, "more warnings than are shown here")
            ]
            return
        origins = [place.source.origin((*place.base, *path)) for path in server_set]
        first = min(origins, key=lambda origin: (origin.line, origin.column))
        fields = ", ".join(dotted(path) for path in server_set)
        message = f"left out what only the API server sets: {fields}"
        self._warnings.append(ManifestWarning(first, key, message, _SERVER_SET_HINT))

    def _add_faults(self, found: Iterable[Fault], key: ObjectKey | None, place: Place) -> None:
        for fault in found:
            origin = place.source.origin((*place.base, *fault.path))
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


def _too_large(size: int, key: ObjectKey, origin: Origin) -> ManifestError:
    limit = f"{MAX_OBJECT_BYTES // 1024 // 1024} MiB"
    message = f"the object is {size / 1024 / 1024:.1f} MiB as JSON, over the API server's limit of {limit}"
    return ManifestError(message, origin=origin, key=key)


def _as_faults(errors: Iterable[FieldError]) -> list[Fault]:
    return [Fault(error.path, str(error)) for error in errors]
