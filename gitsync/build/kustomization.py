"""A ``kustomization.yaml``: what it says, where it says it, and which files it refers to. Pure.

kustomize never sees the user's file, but one with the same fields, written anew. So nothing is in it that was not
looked at here, whatever the spelling: kustomize takes ``Resources`` for ``resources``.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, Final, Literal, NamedTuple

from gitsync.api.fields import FieldPath, dotted
from gitsync.api.identity import Origin
from gitsync.errors import ManifestError, YamlError
from gitsync.kubeyaml import decode, first_document, read
from gitsync.manifests import Source

#: The fields of kustomize's own type (kustomize 5.8, api/types/kustomization.go).
FIELDS: Final = (
    *("apiVersion", "kind", "metadata", "openapi", "namePrefix", "nameSuffix", "namespace", "commonLabels", "labels"),
    *("commonAnnotations", "patchesStrategicMerge", "patchesJson6902", "patches", "images", "imageTags"),
    *("replacements", "replicas", "vars", "sortOptions", "resources", "components", "crds", "bases"),
    *("configMapGenerator", "secretGenerator", "helmGlobals", "helmCharts", "helmChartInflationGenerator"),
    *("generatorOptions", "configurations", "generators", "transformers", "validators", "buildMetadata"),
)
_FOLDED: Final = {name.casefold(): name for name in FIELDS}
#: The fields of entries that name files.
_ENTRY_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "patches": ("path", "patch", "target", "options"),
    "patchesJson6902": ("path", "patch", "target", "options"),
    "replacements": ("path", "source", "targets"),
    "configMapGenerator": ("files", "envs", "env", "literals", "name", "namespace", "behavior", "options"),
    "secretGenerator": ("files", "envs", "env", "literals", "name", "namespace", "behavior", "options", "type"),
}
_GROUP: Final = "kustomize.config.k8s.io/"
_HELM: Final = ("helmCharts", "helmChartInflationGenerator")
_HELM_HINT: Final = "write a HelmRelease in its place"
#: What YAML does not take as it is, and JSON writes so.
_UNPRINTABLE: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")

#: What a reference leads to. resource: objects in a file or a directory; component: a directory; file: a file; patch: a
#: file, or the patch itself; plugin: a file or a directory with configurations, or one itself.
ReferenceKind = Literal["resource", "component", "file", "patch", "plugin"]


class Reference(NamedTuple):
    """Something that a kustomization names: ``text`` is what is written at ``field``. ``key`` is "" but for a
    generator's file that is given a key: of ``app.conf=config/prod.conf``, it is ``app.conf=``."""

    kind: ReferenceKind
    field: FieldPath
    text: str
    key: str = ""


@dataclass(frozen=True)
class Kustomization:
    """A kustomization.yaml. ``path`` is the file, ``directory`` where it is; ``fields`` are what it says, by
    kustomize's names. ``unknown`` are fields that kustomize does not have, as they are written; they are not in
    ``fields``. ``spelling`` has, by its name, how a field is written whose case differs. ``own`` says how many entries
    of a list are the file's own, where the spec of a Kustomization has added more.
    """

    path: str
    directory: str
    fields: Mapping[str, Any]
    source: Source | None = None
    unknown: tuple[str, ...] = ()
    spelling: Mapping[str, str] = dataclass_field(default_factory=dict)
    own: Mapping[str, int] = dataclass_field(default_factory=dict)

    def shown(self, field: FieldPath) -> str:
        """How messages call a field: ``patches[0].path``; or, if the spec of a Kustomization has added it,
        ``spec.patches[0].path``."""
        if (index := self._in_spec(field)) is not None:
            return dotted(("spec", field[0], index, *field[2:]))
        return dotted(field)

    def origin(self, field: FieldPath = ()) -> Origin:
        """Where a field is written; the file, if nobody wrote it there."""
        if self.source is None or self._in_spec(field) is not None:
            return Origin(self.path)
        if field and str(field[0]) in self.spelling:
            field = (self.spelling[str(field[0])], *field[1:])
        return self.source.origin(field)

    def _in_spec(self, field: FieldPath) -> int | None:
        """The index of an entry in the list of the spec; None for what is not from there."""
        if len(field) > 1 and isinstance(field[1], int) and str(field[0]) in self.own:
            index = field[1] - self.own[str(field[0])]
            return index if index >= 0 else None
        return None

    def unknown_field(self, name: str) -> ManifestError:
        """The error for a field that kustomize does not have."""
        close = difflib.get_close_matches(name, FIELDS, 1, 0.7)
        hint = f"did you mean {close[0]}?" if close else "kustomize refuses such a file"
        message = f"{dotted((name,))} is no field of a kustomization"
        return ManifestError(message, origin=self.origin((name,)), field=dotted((name,)), hint=hint)

    def refused(self) -> ManifestError | None:
        """The error for fields that are not supported; None when there are none."""
        for name in _HELM:
            if self.fields.get(name):
                message = f"{name}: charts are not rendered by kustomize here"
                return ManifestError(message, origin=self.origin((name,)), field=name, hint=_HELM_HINT)
        return None

    def references(self) -> Iterator[Reference]:
        """All that it names: files, directories, URLs."""
        for name in ("resources", "bases"):
            yield from self._texts("resource", name)
        yield from self._texts("component", "components")
        for name in ("crds", "configurations"):
            yield from self._texts("file", name)
        for name in ("generators", "transformers", "validators"):
            yield from self._texts("plugin", name)
        yield from self._texts("patch", "patchesStrategicMerge")
        openapi = self.fields.get("openapi")
        if isinstance(openapi, dict) and isinstance(openapi.get("path"), str):
            yield Reference("file", ("openapi", "path"), openapi["path"])
        for name in ("patches", "patchesJson6902", "replacements"):
            for index, entry in self._entries(name):
                if isinstance(entry.get("path"), str) and entry["path"]:
                    yield Reference("file", (name, index, "path"), entry["path"])
        for name in ("configMapGenerator", "secretGenerator"):
            for index, entry in self._entries(name):
                yield from _generator_files((name, index), entry)

    def written(self, replaced: Mapping[FieldPath, str] | None = None, **changed: Any) -> str:
        """The file for kustomize, with other texts at some places, and other fields."""
        fields = copy.deepcopy(dict(self.fields))
        for path, text in (replaced or {}).items():
            container: Any = fields
            for part in path[:-1]:
                container = container[part]
            container[path[-1]] = text
        fields |= changed
        return as_yaml(fields)

    def _texts(self, kind: ReferenceKind, name: str) -> Iterator[Reference]:
        values = self.fields.get(name)
        for index, text in enumerate(values if isinstance(values, list) else ()):
            if isinstance(text, str):
                yield Reference(kind, (name, index), text)

    def _entries(self, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
        values = self.fields.get(name)
        for index, entry in enumerate(values if isinstance(values, list) else ()):
            if isinstance(entry, dict):
                yield index, entry


def as_yaml(fields: Mapping[str, Any]) -> str:
    """Fields as a YAML text."""
    text = json.dumps(fields, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def read_kustomization(path: str, data: bytes) -> Kustomization:
    """What a file says. Of several documents it is the first that counts, as in kustomize.

    Raises: ManifestError with the place of what is wrong.
    """
    directory = path.rpartition("/")[0]
    try:
        text = first_document(decode(data))
        reading = read(text)
    except YamlError as error:
        raise ManifestError(error.message, origin=Origin(path, error.line, error.column), hint=error.hint) from None
    origin = Origin(path, reading.line, reading.column)
    if reading.root and reading.root != "mapping":
        raise ManifestError("a kustomization has to be a mapping of fields", origin=origin)
    source = Source(path, text, 1)
    value = reading.value or {}
    api_version = value.get("apiVersion")
    if isinstance(api_version, str) and api_version and not api_version.startswith(_GROUP):
        hint = "give the file another name: this one is kustomize's own"
        raise ManifestError(f"{api_version} is not an apiVersion of kustomize's files", origin=origin, hint=hint)
    fields, unknown, spelling = _normalised(value, source)
    return Kustomization(path, directory, fields, source, unknown, spelling)


def _normalised(value: Mapping[str, Any], source: Source) -> tuple[dict[str, Any], tuple[str, ...], Mapping[str, str]]:
    fields: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    unknown = []
    for key, content in value.items():
        name = key if key in FIELDS else _FOLDED.get(key.casefold())
        if name is None:
            unknown.append(key)
            continue
        if name in fields:
            message = f"{name} is given twice, in other letters"
            raise ManifestError(message, origin=source.origin((key,)), field=name)
        if content is None:
            continue
        if name != key:
            spelling[name] = key
        if name in _ENTRY_FIELDS and isinstance(content, list):
            content = [_entry(item, _ENTRY_FIELDS[name]) for item in content]
        fields[name] = content
    return fields, tuple(unknown), spelling


def _entry(item: Any, names: tuple[str, ...]) -> Any:
    """An entry with its fields in kustomize's letters; what else it has, kustomize refuses."""
    if not isinstance(item, dict):
        return item
    folded = {name.casefold(): name for name in names}
    return {key if key in names else folded.get(key.casefold(), key): content for key, content in item.items()}


def _generator_files(field: FieldPath, entry: Mapping[str, Any]) -> Iterator[Reference]:
    files = entry.get("files")
    for index, text in enumerate(files if isinstance(files, list) else ()):
        if isinstance(text, str):
            key, equals, path = text.partition("=")
            yield (
                Reference("file", (*field, "files", index), path, f"{key}=")
                if equals
                else Reference("file", (*field, "files", index), text)
            )
    envs = entry.get("envs")
    for index, text in enumerate(envs if isinstance(envs, list) else ()):
        if isinstance(text, str):
            yield Reference("file", (*field, "envs", index), text)
    if isinstance(entry.get("env"), str) and entry["env"]:
        yield Reference("file", (*field, "env"), entry["env"])
