"""One chart: what is in its archive, and the handles that the Helm SDK needs to render it."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from gitsync.charts import archive, native
from gitsync.charts.archive import ArchiveFile
from gitsync.charts.hooks import split
from gitsync.charts.objects import document, flattened
from gitsync.errors import ChartError

if TYPE_CHECKING:
    from gitsync.api.identity import Manifest

_ACTION = re.compile(rb"\{\{.*?\}\}", re.DOTALL)
#: Template functions whose result changes from call to call, or with the cluster.
_IMPURE = re.compile(
    rb"\b(?:lookup|rand\w*|gen(?:PrivateKey|CA|SelfSigned|Signed)\w*|uuidv4|now|ago|date\w*|htmlDate\w*|htpasswd|bcrypt"
    rb"|encryptAES|shuffle|getHostByName)\b"
)
_LOOKUP = re.compile(rb"\blookup\b")
_API_VERSIONS = re.compile(rb"\bAPIVersions\b")
_OWN_FILES = frozenset({"Chart.yaml", "Chart.lock", "values.yaml", "values.schema.json"})


class Variant(NamedTuple):
    """How a chart's archive is altered before the SDK sees it.

    ``exact_apis`` is how many API versions the SDK always claims (see ``render``); 0 leaves templates alone.
    """

    schema: bool = True
    exact_apis: int = 0


class Uses(NamedTuple):
    """What the templates make use of, judged from their text: never too little, sometimes too much."""

    lookup: bool
    api_versions: bool
    impure: bool


class Chart:
    """A chart as it was fetched or found in Git. Immutable and shared; safe to use from several threads.

    ``digest`` identifies its content. Its SDK handles are freed when the last reference to the chart goes away.
    """

    def __init__(self, data: bytes, digest: str) -> None:
        """Loads an archive; blocks.

        Raises: ChartError for what Helm would not install: no chart, a library, dependencies missing from ``charts/``.
        """
        self.digest = digest
        self._data = data
        self._lock = threading.Lock()
        files = archive.read(data)
        self._handle: native.Handle | None = native.Handle(data)
        self.metadata = self._handle.metadata()
        self.name = str(self.metadata.get("name", ""))
        self.version = str(self.metadata.get("version", ""))
        self.app_version = str(self.metadata.get("appVersion", ""))
        self.values: dict[str, Any] = self._handle.values() or {}
        self._refuse_uninstallable(self._handle.subcharts())
        everything = archive.unnested(files, self.name)
        self.uses = _uses(everything)
        #: Rendering such a chart changes the SDK's copy of it (see native).
        self._changes = any(_declares_dependencies(file) for file in everything)
        if self._changes:
            self._handle.close()
            self._handle = None
        self._variants: dict[Variant, native.Handle] = {}
        self._archives: dict[Variant, bytes] = {}

    def __repr__(self) -> str:
        return f"<Chart {self.name}-{self.version} {self.digest[:19]}>"

    @property
    def has_dependencies(self) -> bool:
        """Whether values decide what Helm's record says about this chart, and which CRDs it has."""
        return self._changes

    @cached_property
    def schema(self) -> bytes | None:
        """The text of values.schema.json."""
        return self.file("values.schema.json")

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

    def with_file(self, name: str, data: bytes, digest: str) -> Chart:
        """This chart with one file replaced or added, known as ``digest``. Blocks. Raises: ChartError."""
        files = [file for file in archive.read(self._data) if file.name != name]
        return Chart(archive.build([*files, ArchiveFile(name, data)], self.name), digest)

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
        """A handle to render with: a shared one where rendering leaves it as it is, else one for this time only."""
        if self._changes:
            own = native.Handle(self._archive(variant))
            try:
                yield own
            finally:
                own.close()
            return
        with self._lock:
            handle = self._handle if variant == Variant() else self._variants.get(variant)
            if handle is None:
                handle = self._variants[variant] = native.Handle(self._archive(variant))
        yield handle

    def close(self) -> None:
        """Frees the handles now."""
        with self._lock:
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


def _uses(files: list[ArchiveFile]) -> Uses:
    """From the text of all actions, and of everything else that ``tpl`` may be given (values, files)."""
    lookup = api_versions = impure = False
    for file in files:
        for action in _ACTION.finditer(file.data):
            lookup = lookup or _LOOKUP.search(action[0]) is not None
            api_versions = api_versions or _API_VERSIONS.search(action[0]) is not None
            impure = impure or _IMPURE.search(action[0]) is not None
    return Uses(lookup, api_versions, impure)


def values_use(text: str) -> Uses:
    """The same for values (as JSON), which a template may hand to ``tpl``."""
    if "{{" not in text:
        return Uses(False, False, False)
    data = text.encode()
    found = (pattern.search(data) is not None for pattern in (_LOOKUP, _API_VERSIONS, _IMPURE))
    return Uses(*found)


_OPERAND = re.compile(rb"(?<![\w$.)])((?:\$\w*)?(?:\.\w+)*?)\.Capabilities\.APIVersions\b")


def _altered(files: list[ArchiveFile], variant: Variant) -> Iterator[ArchiveFile]:
    for file in files:
        if not variant.schema and file.name.rpartition("/")[2] == "values.schema.json":
            continue
        if variant.exact_apis and _is_template(file.name) and b"APIVersions" in file.data:
            exact = rb"(slice \1.Capabilities.APIVersions %d)" % variant.exact_apis
            text = _ACTION.sub(lambda action: _OPERAND.sub(exact, action[0]), file.data)  # noqa: B023
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
