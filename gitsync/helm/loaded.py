"""One chart: what is in its archive, and the handles that the Helm SDK needs to render it. In a worker process only."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from gitsync import semver
from gitsync.errors import ChartError
from gitsync.helm import archive, native
from gitsync.helm.archive import ArchiveFile
from gitsync.helm.hooks import split
from gitsync.helm.manifest import document, flattened
from gitsync.helm.schema import schema_fault
from gitsync.helm.uses import ACTION, files_use

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

_OWN_FILES = frozenset({"Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json"})


class Variant(NamedTuple):
    """How a chart's archive is altered before the SDK sees it.

    ``exact_apis`` is how many API versions the SDK always claims (see ``render``); 0 leaves templates alone.
    """

    schema: bool = True
    exact_apis: int = 0


class LoadedChart:
    """A chart as it was fetched or found in Git.

    ``digest`` identifies its content. Its SDK handles are freed when the last reference to the chart goes away.
    """

    def __init__(self, data: bytes, digest: str) -> None:
        """Loads an archive; blocks.

        Raises: ChartError for what Helm would not install: no chart, a library, dependencies missing from ``charts/``.
        """
        self.digest = digest
        self._data = data
        # Ours first: it stops at its bounds, where the SDK unpacks whatever is nested in the archive.
        everything = archive.unnested(archive.read(data))
        self._schema_fault = schema_fault(everything)
        #: Bytes of all that is in it.
        self.size = sum(len(file.data) for file in everything)
        self._handle: native.Handle | None = native.Handle(data)
        self.metadata = self._handle.metadata()
        self.name = str(self.metadata.get("name", ""))
        self.version = str(self.metadata.get("version", ""))
        self.app_version = str(self.metadata.get("appVersion", ""))
        self.values: dict[str, Any] = self._handle.values() or {}
        self._refuse_uninstallable(self._handle.subcharts())
        self.uses = files_use(everything)
        #: Rendering such a chart changes the SDK's copy of it (see native).
        self._changes = any(_declares_dependencies(file) for file in everything)
        if self._changes:
            self._handle.close()
            self._handle = None
        self._variants: dict[Variant, native.Handle] = {}
        self._archives: dict[Variant, bytes] = {}

    def __repr__(self) -> str:
        return f"<LoadedChart {self.name}-{self.version} {self.digest[:19]}>"

    @property
    def has_dependencies(self) -> bool:
        """Whether values decide what Helm's record says about this chart, and which CRDs it has."""
        return self._changes

    @cached_property
    def crds(self) -> tuple[Manifest, ...]:
        """The objects below ``crds/``, those of all subcharts too; a rendering has those of the enabled ones."""
        handle = native.Handle(self._data)
        try:
            return crd_objects(handle)
        finally:
            handle.close()

    def file(self, name: str) -> bytes | None:
        """A file of the chart itself by its path, None when there is none. Blocks."""
        return next((file.data for file in archive.read(self._data) if file.name == name), None)

    def record(self) -> dict[str, Any]:
        """The ``chart`` member of Helm's release record before values were applied; shared, never change it."""
        return self._record

    @cached_property
    def _record(self) -> dict[str, Any]:
        files = archive.read(self._data, self.name)
        templates = [_file(file) for file in files if file.name.startswith("templates/")]
        others = [_file(file) for file in files if _is_other(file.name, self.metadata.get("apiVersion") == "v1")]
        schema = next((file for file in files if file.name == "values.schema.json"), None)
        chart = next(file for file in files if file.name == "Chart.yaml")
        return {
            "metadata": self.metadata,
            "lock": _lock(files),
            "templates": templates or None,
            "values": self.values if any(file.name == "values.yaml" for file in files) else None,
            "schema": _base64(schema.data) if schema else None,
            "schemamodtime": schema.modified if schema else "0001-01-01T00:00:00Z",
            "files": others or None,
            "modtime": chart.modified,
        }

    @contextmanager
    def handle(self, variant: Variant) -> Iterator[native.Handle]:
        """A handle to render with: a shared one where rendering leaves it as it is, else one for this time only.

        Raises: ValuesError for a schema that refers to anything but itself.
        """
        if variant.schema and self._schema_fault is not None:
            raise self._schema_fault
        if self._changes:
            own = native.Handle(self._archive(variant))
            try:
                yield own
            finally:
                own.close()
            return
        handle = self._handle if variant == Variant() else self._variants.get(variant)
        if handle is None:
            handle = self._variants[variant] = native.Handle(self._archive(variant))
        yield handle

    def close(self) -> None:
        """Frees the handles now."""
        for handle in [*self._variants.values(), *([self._handle] if self._handle else [])]:
            handle.close()
        self._variants.clear()
        self._handle = None

    def _archive(self, variant: Variant) -> bytes:
        if variant == Variant():
            return self._data
        data = self._archives.get(variant)
        if data is None:
            data = archive.build(_altered(archive.unnested(archive.read(self._data), self.name), variant), self.name)
            self._archives[variant] = data
        return data

    def _refuse_uninstallable(self, found: list[str]) -> None:
        if self.metadata.get("type") not in (None, "", "application"):
            raise ChartError(
                f"chart {self.name} is a {self.metadata['type']} chart, which cannot be installed",
                chart=self.name,
                version=self.version,
            )
        missing = [
            str(dependency.get("name"))
            for dependency in self.metadata.get("dependencies") or []
            if dependency.get("name") not in found
        ]
        if missing:
            raise ChartError(
                f"chart {self.name} depends on {', '.join(missing)}, missing from its charts/ folder",
                chart=self.name,
                version=self.version,
                hint="run `helm dependency update` and commit charts/",
            )


def with_build(data: bytes, build: str) -> bytes:
    """A chart's archive, with build metadata in its version: what helm-controller does to a chart out of an
    OCIRepository (mutateChartWithSourceRevision).

    Raises: ChartError.
    """
    archive.unnested(archive.read(data))  # ours first: it stops at its bounds
    handle = native.Handle(data)
    try:
        metadata = handle.metadata()
    finally:
        handle.close()
    try:
        version = semver.with_build(str(metadata.get("version", "")), build)
    except semver.BadVersion as error:
        raise ChartError(f"chart {metadata.get('name', '')}: {error}") from None
    # As Helm has read it, so that all but the version stays what it is; JSON is YAML.
    return archive.with_file(data, "Chart.yaml", json.dumps({**metadata, "version": version}).encode())


def crd_objects(handle: native.Handle) -> tuple[Manifest, ...]:
    """The objects in the CRD files that a handle has."""
    return tuple(
        one for path, text in handle.crds() for part in split(text) for one in flattened(document(part, path), path)
    )


def _declares_dependencies(file: ArchiveFile) -> bool:
    name = file.name.rpartition("/")[2]
    return name in ("Chart.yaml", "requirements.yaml") and b"dependencies" in file.data


def _is_template(name: str) -> bool:
    return name.startswith("templates/") or "/templates/" in name


_OPERAND = re.compile(rb"(?<![\w$.)])((?:\$\w*)?(?:\.\w+)*?)\.Capabilities\.APIVersions\b")


def _altered(files: list[ArchiveFile], variant: Variant) -> Iterator[ArchiveFile]:
    for file in files:
        if not variant.schema and file.name.rpartition("/")[2] == "values.schema.json":
            continue
        if variant.exact_apis and _is_template(file.name) and b"APIVersions" in file.data:
            exact = rb"(slice \1.Capabilities.APIVersions %d)" % variant.exact_apis
            text = ACTION.sub(lambda action: _OPERAND.sub(exact, action[0]), file.data)  # noqa: B023
            yield replace(file, data=text)
        else:
            yield file


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _file(file: ArchiveFile) -> dict[str, Any]:
    return {"name": file.name, "data": _base64(file.data), "modtime": file.modified}


def _is_other(name: str, old: bool) -> bool:
    """Whether Helm lists a file among the chart's ``files``."""
    if name in _OWN_FILES:
        return False
    if name in ("requirements.yaml", "requirements.lock"):
        return old
    if name.startswith("charts/"):
        return name.endswith(".prov")
    return not name.startswith("templates/")


def _lock(files: list[ArchiveFile]) -> dict[str, Any] | None:
    found = None
    for file in files:
        if file.name in ("Chart.lock", "requirements.lock"):
            found = native.load_yaml(file.data.decode("utf-8", "replace"))
    if found is None:
        return None
    return {
        "generated": found.get("generated") or "0001-01-01T00:00:00Z",
        "digest": str(found.get("digest") or ""),
        "dependencies": [_locked(dependency) for dependency in found.get("dependencies") or []] or None,
    }


def _locked(dependency: dict[str, Any]) -> dict[str, Any]:
    """A locked dependency: Go writes name and repository always, the rest only when there is something."""
    version = dependency.get("version")
    return {
        "name": str(dependency.get("name") or ""),
        **({"version": str(version)} if version else {}),
        "repository": str(dependency.get("repository") or ""),
    }
