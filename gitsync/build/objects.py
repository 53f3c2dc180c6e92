"""From what kustomize writes to desired objects: variables replaced, common metadata set, each with its place. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gitsync.api.identity import Manifest, Origin
from gitsync.build.follow import Plan
from gitsync.build.heads import Head, head_of
from gitsync.build.limits import MAX_ERRORS
from gitsync.build.opening import (
    NotOpened,
    Opened,
    holds_encrypted,
    may_be_encrypted,
    opened_value,
    spelled,
)
from gitsync.build.origins import ANNOTATION, Origins, origin_of
from gitsync.build.spec import BuildSpec
from gitsync.build.substitute import MARKS, NotSubstituted, Substituted, Variables, is_disabled, line_of
from gitsync.diff import yaml_lines
from gitsync.errors import EncryptedError, ManifestError, YamlError
from gitsync.kubeyaml import load, split
from gitsync.manifests import ENCRYPTED, FileContent, Place, as_it_stays, is_encrypted, parse_value, stays_encrypted
from gitsync.weight import object_weight

_KUSTOMIZE_GROUP: Final = "kustomize.config.k8s.io/"
_ENCRYPTED_HINT: Final = (
    "give the Kustomization spec.decryption; nothing of this directory is applied until it can be decrypted"
)
_UNSET_HINT: Final = "set it in postBuild, or give it a default: ${name:=default}"
_NAMES_HINT: Final = "letters, digits and underscores, and no digit first"


@dataclass(frozen=True)
class Built:
    """The objects of a build, or the errors because of which there are none. ``is_unbuilt``: the errors would be the
    same with other variables. ``weight`` is about what the objects take in memory, in bytes."""

    contents: tuple[FileContent, ...] = ()
    errors: tuple[ManifestError, ...] = ()
    is_unbuilt: bool = False
    weight: int = 0


def objects_of(
    text: str,
    plan: Plan,
    heads: Mapping[str, Sequence[Head]],
    spec: BuildSpec,
    default_namespace: str,
    opened: Opened | None = None,
) -> Built:
    """The objects in ``text``, which kustomize has written for ``plan``. ``heads`` are the documents of the plan's
    files by their paths, ``opened`` is what was decrypted, None when nothing is to be. An object with a fault is left
    out; one that cannot be read, decrypted or substituted leaves none."""
    variables = Variables(spec) if spec.substitutes else None
    if variables is not None and (names := variables.bad_names()):
        errors = [_bad_name(name, plan) for name in names[:MAX_ERRORS]]
        return Built(errors=tuple(errors))
    maker = _Maker(plan, Origins(plan, heads), spec, variables, default_namespace, opened)
    contents = [content for document in split(text) if (content := maker.content(document.text)) is not None]
    if maker.errors:
        return Built(errors=tuple(maker.errors[:MAX_ERRORS]))
    objects = (item for content in contents for item in content.objects)
    return Built(tuple(contents), weight=len(text) + sum(object_weight(item.manifest) for item in objects))


@dataclass(frozen=True)
class _Plain:
    """A document after decryption, with the values that were decrypted in it (``secrets``). ``is_meant``: it is still
    encrypted, and is to stay so."""

    text: str
    secrets: tuple[str, ...] = ()
    is_opened: bool = False
    is_meant: bool = False


class _Maker:
    def __init__(
        self,
        plan: Plan,
        origins: Origins,
        spec: BuildSpec,
        variables: Variables | None,
        default_namespace: str,
        opened: Opened | None,
    ) -> None:
        self._plan = plan
        self._origins = origins
        self._spec = spec
        self._variables = variables
        self._default_namespace = default_namespace
        self._opened = opened
        self.errors: list[ManifestError] = []

    def content(self, text: str) -> FileContent | None:
        """The objects of one document; None for a document of kustomize itself, and after an error that leaves none."""
        built = head_of(text)
        said, without = origin_of(text)
        place = self._origins.place(said, built)
        text = text if self._plan.keep_origins else without
        try:
            plain = self._plain(text)
            done = self._substituted(plain.text)
        except NotOpened as error:
            message = f"{built.kind} {built.name}: {error}"
            self.errors.append(ManifestError(message, origin=place.origin, hint=error.hint))
            return None
        except NotSubstituted as error:
            self.errors.append(_not_substituted(error, place, built))
            return None
        done = replace(done, values=(*done.values, *plain.secrets))
        try:
            value = load(done.text)
        except YamlError as error:
            message = f"after its variables are replaced it cannot be read: {done.masked(error.message)}"
            self.errors.append(ManifestError(message, origin=place.origin))
            return None
        if not isinstance(value, dict) or str(value.get("apiVersion")).startswith(_KUSTOMIZE_GROUP):
            return None
        is_sealed = self._opened is not None and self._opened.sealed and holds_encrypted(value)
        if is_encrypted(value) and not is_sealed and not plain.is_meant:
            self.errors.append(EncryptedError(ENCRYPTED, origin=place.origin, hint=_ENCRYPTED_HINT))
            return None
        value = self._finished(as_it_stays(value) if plain.is_meant else value)
        substituted = self._variables is not None
        found = parse_value(value, place, self._default_namespace, substituted=substituted, sealed=is_sealed)
        found = _masked(found, done) if found.errors and done.values else found
        for fault in found.errors:
            fault.is_certain = done.text == plain.text
        return self._marked(found, plain)

    def _plain(self, text: str) -> _Plain:
        """A document decrypted. Raises: NotOpened."""
        if not may_be_encrypted(text) or (self._opened is None and "/decrypt" not in text):
            return _Plain(text)
        try:
            value = load(text)
        except YamlError:
            return _Plain(text)  # the error is reported when its variables are replaced
        if not isinstance(value, dict):
            return _Plain(text)
        if stays_encrypted(value):
            return _Plain(text, is_meant=True)
        if self._opened is None or self._opened.sealed or (found := opened_value(value, self._opened)) is None:
            return _Plain(text)
        return _Plain("\n".join(yaml_lines(found.value)), found.secrets, is_opened=True)

    def _marked(self, found: FileContent, plain: _Plain) -> FileContent:
        """Marks a decrypted object as such, and gives it a digest by which nobody can guess its values."""
        opened, keys = self._opened, self._spec.keys
        if opened is None or keys is None:
            return found
        objects = []
        for item in found.objects:
            secrets = {*plain.secrets, *opened.found_in(item.manifest)}
            if secrets or plain.is_opened:
                digest = hashlib.sha256(f"{keys.digest} {item.digest}".encode()).hexdigest()
                item = replace(item, sops="opened", secrets=spelled(secrets), digest=digest)
            objects.append(item)
        return replace(found, objects=tuple(objects))

    def _substituted(self, text: str) -> Substituted:
        if self._variables is None or "$" not in text:
            return Substituted(text)
        if any(marks in text for marks in MARKS) and is_disabled(load(text)):
            return Substituted(text)
        return self._variables.substituted(text)

    def _finished(self, value: Manifest) -> Manifest:
        """With what the spec sets on every object, and without what kustomize was made to leave."""
        metadata = value.get("metadata")
        if not isinstance(metadata, dict):
            return value
        metadata = dict(metadata)
        annotations = metadata.get("annotations")
        if not self._plan.keep_origins and isinstance(annotations, dict):
            annotations.pop(ANNOTATION, None)
        if not annotations:
            metadata.pop("annotations", None)
        for field, added in (("labels", self._spec.labels), ("annotations", self._spec.annotations)):
            if added:
                existing = metadata.get(field)
                metadata[field] = {**(existing if isinstance(existing, dict) else {}), **added}
        return {**value, "metadata": metadata}


def _not_substituted(error: NotSubstituted, place: Place, built: Head) -> ManifestError:
    origin = place.origin
    line = line_of(place.source.text, error.variable)
    if line >= 0:
        origin = Origin(origin.path, place.source.line + line)
    what = f"{built.kind} {built.name}: " if line < 0 else ""
    hint = _UNSET_HINT if error.variable and "not set" in str(error) else ""
    return ManifestError(f"{what}{error}", origin=origin, hint=hint)


def _bad_name(name: str, plan: Plan) -> ManifestError:
    message = f"{name!r} cannot be the name of a variable"
    return ManifestError(message, origin=Origin(plan.directory or "."), field="spec.postBuild", hint=_NAMES_HINT)


def _masked(found: FileContent, done: Substituted) -> FileContent:
    errors = tuple(_masked_errors(found.errors, done))
    return FileContent(found.objects, errors, found.warnings, found.unread)


def _masked_errors(errors: Sequence[ManifestError], done: Substituted) -> Iterator[ManifestError]:
    for error in errors:
        message, field = done.masked(error.message), done.masked(error.field)
        yield ManifestError(message, origin=error.origin, field=field, key=error.key, hint=done.masked(error.hint))
