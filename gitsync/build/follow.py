"""Which files a build reads: from the kustomization of a directory through all that it names."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gitsync import manifests
from gitsync.api.fields import FieldPath
from gitsync.api.identity import Origin
from gitsync.build.files import KUSTOMIZATION_FILES, joined
from gitsync.build.generated import Scan, fields_of, resources_of, scan
from gitsync.build.heads import Head
from gitsync.build.known import Known
from gitsync.build.kustomization import Kustomization, Reference
from gitsync.build.limits import (
    MAX_BYTES,
    MAX_ERRORS,
    MAX_FILES,
    MAX_KUSTOMIZATIONS,
    PART_BYTES,
    PART_FILES,
)
from gitsync.build.mounts import Mounts
from gitsync.build.overlay import leaves_alone, overlaid, own_entries, with_origins
from gitsync.build.references import (
    Inline,
    Target,
    ToDirectory,
    ToFile,
    fault,
    fetched_target,
    opens_as,
    plugin_files,
    plugins_of,
    remote_text,
    target,
)
from gitsync.build.remote import Mount, NotFetched
from gitsync.build.spec import BuildSpec
from gitsync.errors import DirectoryMissing, ManifestError
from gitsync.manifests import ManifestWarning, Unread
from gitsync.sops import Format
from gitsync.tree import TreeEntry

#: kustomize takes files of a kustomization's own directory only. One from elsewhere, which Flux allows, is put here.
_ELSEWHERE: Final = ".elsewhere"


@dataclass
class Plan:
    """What kustomize is to be given, by the paths that it has there: ``written`` are kustomizations, written anew, and
    ``files`` all other files; ``places`` has the user's path of each file that has another one there. ``secret`` are
    files that patches and generators read, with what names them; of these, ``opens`` are decrypted before the build if
    they are encrypted, in this format.

    ``keep_origins``: the user has asked for kustomize's origin annotations, so they stay. ``separable``: kustomize does
    nothing that has to do with more than one object, so that ``parts`` may be built by themselves.
    """

    directory: str
    kustomizations: dict[str, Kustomization] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    files: dict[str, TreeEntry] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    secret: dict[str, Origin] = field(default_factory=dict)
    opens: dict[str, Format] = field(default_factory=dict)
    keep_origins: bool = False
    separable: bool = False
    errors: list[ManifestError] = field(default_factory=list)
    warnings: list[ManifestWarning] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def digest(self) -> str:
        """A digest of all that kustomize reads, and of all places that errors and objects may name."""
        digest = hashlib.sha256(f"{self.directory}\0{self.keep_origins}\0".encode("utf-8", "surrogatepass"))
        for path, text in sorted(self.written.items()):
            digest.update(f"{path}\0{len(text)}\0{text}".encode("utf-8", "surrogatepass"))
        # Lines are the user's: a comment that moves them makes another build of it.
        for directory, kustomization in sorted(self.kustomizations.items()):
            source = kustomization.source
            text = f"{source.line}\0{len(source.text)}\0{source.text}" if source is not None else ""
            digest.update(f"{directory}\0{kustomization.path}\0{text}".encode("utf-8", "surrogatepass"))
        for path, entry in sorted(self.files.items()):
            digest.update(f"{path}\0{entry.blob_id}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(entry.size for entry in self.files.values()) + sum(map(len, self.written.values()))

    def parts(self) -> list[Plan]:
        """The plan in parts that can be built by themselves. Adding or removing a file moves no other to another
        part."""
        wanted = max(len(self.files) // PART_FILES, self.size // PART_BYTES)
        if not self.separable or not wanted:
            return [self]
        (root,) = self.kustomizations.values()
        buckets: list[dict[str, TreeEntry]] = [{} for _ in range(1 << wanted.bit_length())]
        for path, entry in self.files.items():
            number = hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()[0:4]
            buckets[int.from_bytes(number) % len(buckets)][path] = entry
        return [_part(self, root, files) for files in buckets if files]

    def place(self, path: str) -> str:
        """The user's path of a file that kustomize names."""
        return self.places.get(path, path)


async def follow(spec: BuildSpec, files: Mounts, known: Known) -> Plan:
    """The plan for building a directory of a tree; what cannot be built is among its errors. What reading files raises
    is passed on."""
    directory = joined("", spec.path.lstrip("/"))
    if directory is None:
        error = ManifestError("the path leads out of the repository", origin=Origin(spec.path))
        return Plan("", errors=[error])
    plan = Plan(directory)
    broken = files.broken_rules(directory)
    if broken is not None:
        plan.errors.append(broken)
        return plan
    if directory and not files.is_directory(directory):
        plan.errors.append(_no_directory(directory, files))
        return plan
    await _Walk(spec, files, known, plan).run()
    if not plan.errors:
        _bound(plan)
    return plan


def _no_directory(directory: str, files: Mounts) -> ManifestError:
    origin, hint = Origin(directory), "correct spec.path"
    if files.file(directory):
        return ManifestError("is a file, not a directory", origin=origin, hint=hint)
    if what := files.left_out_by(directory):
        return DirectoryMissing(f"is left out by {what}", origin=origin, hint=hint)
    return DirectoryMissing("is no directory of the repository", origin=origin, hint=hint)


def plan_of(files: Sequence[TreeEntry]) -> Plan:
    """A build of the objects of some files, as they are."""
    metadata, _ = with_origins({})
    fields = {"resources": resources_of([entry.path for entry in files], ""), "buildMetadata": metadata}
    root = Kustomization(KUSTOMIZATION_FILES[0], "", fields)
    entries = {entry.path: entry for entry in files}
    return Plan("", {"": root}, {root.path: root.written()}, entries, separable=True)


def _part(plan: Plan, root: Kustomization, files: dict[str, TreeEntry]) -> Plan:
    resources = resources_of(files, plan.directory)
    part = replace(root, fields={**root.fields, "resources": resources})
    return Plan(
        plan.directory,
        kustomizations={plan.directory: part},
        written={part.path: part.written()},
        files=files,
        keep_origins=plan.keep_origins,
    )


class _Walk:
    def __init__(self, spec: BuildSpec, files: Mounts, known: Known, plan: Plan) -> None:
        self._spec = spec
        self._files = files
        self._known = known
        self._plan = plan
        self._edges: dict[str, dict[str, tuple[Kustomization, Reference]]] = {}
        self._looked_at: set[str] = set()
        #: Directories with configurations of plugins, the kustomization that names each, and where.
        self._plugins: list[tuple[str, Kustomization, Reference]] = []

    async def run(self) -> None:
        root = await self._root()
        if root is None:
            return
        level = [root]
        while level and len(self._plan.errors) < MAX_ERRORS:
            directories: dict[str, None] = {}
            for kustomization in level:
                found = await self._take(kustomization)
                directories |= dict.fromkeys(found)
            known = self._looked_at | {root.directory}
            missing = [item for item in directories if item not in known]
            self._looked_at |= directories.keys()
            if len(self._plan.kustomizations) + len(missing) > MAX_KUSTOMIZATIONS:
                message = f"more than {MAX_KUSTOMIZATIONS} kustomizations in one build"
                self._plan.errors.append(ManifestError(message, origin=Origin(root.path)))
                return
            level = [item for path in missing if (item := await self._kustomization(path)) is not None]
            self._plan.kustomizations |= {item.directory: item for item in level}
        self._find_circle(root)
        self._check_kinds()
        if not self._plan.errors:
            await self._look_through_plugins()
        self._plan.separable = root.source is None and len(self._plan.kustomizations) == 1 and leaves_alone(self._spec)

    async def _root(self) -> Kustomization | None:
        """The directory's own kustomization, or one made of its files, after the spec."""
        directory = self._plan.directory
        if self._files.kustomizations(directory):
            own = await self._kustomization(directory)
            if own is None:
                return None
            for name in own.unknown:
                # Flux reads this one file itself, and passes over what it does not know.
                unknown = own.unknown_field(name)
                self._plan.warnings.append(ManifestWarning(unknown.origin, None, unknown.message, unknown.hint))
        else:
            own = await self._generated(directory)
        fields = overlaid(own.fields, self._spec, lambda path: self._is_there(path))
        metadata, self._plan.keep_origins = with_origins(fields)
        fields["buildMetadata"] = metadata
        root = replace(own, fields=fields, unknown=(), own=own_entries(own.fields))
        self._plan.kustomizations[directory] = root
        return root

    def _is_there(self, path: str) -> bool:
        found = joined(self._plan.directory, path)
        return found is not None and (self._files.is_directory(found) or self._files.file(found) is not None)

    async def _generated(self, directory: str) -> Kustomization:
        found = await asyncio.to_thread(self._scan, directory)
        path = posixpath.join(directory, KUSTOMIZATION_FILES[0])
        if found.count > manifests.MAX_FILES:
            self._plan.errors.append(_too_much(self._plan.directory, manifests.MAX_FILES, manifests.MAX_TOTAL_BYTES))
            return Kustomization(path, directory, {})
        documents = await self._heads(found.files)
        fields = fields_of(found, documents, directory)
        self._plan.errors += found.errors
        self._plan.unread += found.unread
        return Kustomization(path, directory, fields)

    def _scan(self, directory: str) -> Scan:
        return scan(self._files.below(directory), directory, manifests.MAX_FILES)

    async def _heads(self, entries: Sequence[TreeEntry]) -> dict[str, tuple[Head, ...]]:
        if sum(entry.size for entry in entries) > manifests.MAX_TOTAL_BYTES:
            self._plan.errors.append(_too_much(self._plan.directory, manifests.MAX_FILES, manifests.MAX_TOTAL_BYTES))
            return {entry.path: () for entry in entries}
        documents: dict[str, tuple[Head, ...]] = {}
        for path, found in (await self._known.heads(entries, self._files.read)).items():
            if isinstance(found, ManifestError):
                self._plan.errors.append(found)
                found = ()
            documents[path] = found
        return documents

    async def _kustomization(self, directory: str) -> Kustomization | None:
        """A directory's own; None after an error."""
        entries = self._files.kustomizations(directory)
        entry = entries[0]
        if len(entries) > 1:
            message = f"there is a {posixpath.basename(entries[1].path)} beside it: only one of them can count"
            self._plan.errors.append(ManifestError(message, origin=Origin(entry.path)))
            return None
        if entry.unreadable or entry.size > MAX_BYTES:
            message = entry.unreadable or f"more than {MAX_BYTES >> 20} MiB"
            self._plan.errors.append(ManifestError(message, origin=Origin(entry.path)))
            return None
        found = await self._known.kustomization(entry, self._files.read)
        if isinstance(found, ManifestError):
            self._plan.errors.append(found)
            return None
        return found

    async def _take(self, kustomization: Kustomization) -> list[str]:
        """Takes in what a kustomization names; returns the directories among it."""
        fetched = await self._fetched(kustomization)
        directories, plugins = await asyncio.to_thread(self._resolve, kustomization, fetched)
        for found in plugins:
            try:
                await self._plugin(found, kustomization)
            except ManifestError as error:
                self._plan.errors.append(error)
        return directories

    async def _fetched(self, owner: Kustomization) -> dict[str, Mount | NotFetched]:
        texts = {text for reference in owner.references() if (text := remote_text(reference, owner, self._files))}
        return await self._files.mount(sorted(texts)) if texts else {}

    def _resolve(
        self, kustomization: Kustomization, fetched: Mapping[str, Mount | NotFetched]
    ) -> tuple[list[str], list[Target]]:
        """The directories that it names, and its plugins. All else is in the plan then."""
        is_root = kustomization.directory == self._plan.directory
        faults = [] if is_root else [kustomization.unknown_field(name) for name in kustomization.unknown]
        refused = kustomization.refused()
        if not is_root and not set(kustomization.fields) - {"apiVersion", "kind"}:
            faults.append(ManifestError("an empty kustomization", origin=kustomization.origin()))
        self._plan.errors += [*faults, refused] if refused else faults
        replaced: dict[FieldPath, str] = {}
        directories: list[str] = []
        plugins: list[Target] = []
        for reference in kustomization.references():
            try:
                found = self._target(reference, kustomization, fetched)
            except ManifestError as error:
                self._plan.errors.append(error)
                continue
            if isinstance(found, ToDirectory):
                directories.append(found.path)
                if found.is_remote:
                    replaced[reference.field] = posixpath.relpath(found.path, kustomization.directory or ".")
                self._edges.setdefault(kustomization.directory, {})[found.path] = (kustomization, reference)
            elif isinstance(found, ToFile):
                self._add(found, kustomization, replaced)
            if reference.kind == "plugin":
                plugins.append(found)
        self._plan.written[kustomization.path] = kustomization.written(replaced)
        return directories, plugins

    def _target(self, reference: Reference, owner: Kustomization, fetched: Mapping[str, Mount | NotFetched]) -> Target:
        if remote_text(reference, owner, self._files):
            return fetched_target(reference, fetched[reference.text], owner, self._files)
        return target(reference, owner, self._files)

    def _add(self, found: ToFile, owner: Kustomization, replaced: dict[FieldPath, str]) -> None:
        path = found.entry.path
        below = f"{owner.directory}/" if owner.directory else ""
        if not path.startswith(below):
            name = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]
            inside = posixpath.join(_ELSEWHERE, name, posixpath.basename(path))
            replaced[found.reference.field] = found.reference.key + inside
            jailed = below + inside
            self._plan.places[jailed] = path
        else:
            jailed = path
            if found.is_remote:
                replaced[found.reference.field] = found.reference.key + path.removeprefix(below)
        self._plan.files[jailed] = found.entry
        if found.reference.kind != "resource":
            self._plan.secret[jailed] = owner.origin(found.reference.field)
        if (as_is := opens_as(found.reference)) is not None:
            self._plan.opens.setdefault(jailed, as_is)

    async def _plugin(self, found: Target, owner: Kustomization, by: Reference | None = None) -> None:
        """Takes in the files that a plugin's configuration names. Their paths count from the directory of ``owner``,
        the kustomization that names the plugin ``by`` a reference."""
        by = by or found.reference
        if isinstance(found, ToDirectory):
            self._plugins.append((found.path, owner, by))
            return
        text = found.text if isinstance(found, Inline) else ""
        if isinstance(found, ToFile):
            blobs = await self._files.read([found.entry.blob_id])
            text = blobs[found.entry.blob_id].decode("utf-8", "replace")
        for entry in plugin_files(text, owner, by, self._files):
            self._plan.files[entry.path] = entry
            self._plan.secret[entry.path] = owner.origin(by.field)

    async def _look_through_plugins(self) -> None:
        """Takes in the files that are named by plugins whose configurations are in directories."""
        seen: set[tuple[str, str]] = set()
        while self._plugins:
            directory, owner, by = self._plugins.pop()
            if (directory, owner.directory) in seen:
                continue
            seen.add((directory, owner.directory))
            try:
                for found in plugins_of(self._plan.kustomizations[directory], owner, by, self._files):
                    await self._plugin(found, owner, by)
            except ManifestError as error:
                self._plan.errors.append(error)

    def _check_kinds(self) -> None:
        """Components are named as such, and nothing else is."""
        for edges in self._edges.values():
            for path, (owner, reference) in edges.items():
                if path in self._plan.kustomizations:
                    is_component = self._plan.kustomizations[path].fields.get("kind") == "Component"
                    if is_component and reference.kind != "component":
                        message = f"{path!r} is a Component: name it in components"
                        self._plan.errors.append(fault(owner, reference, message))
                    elif not is_component and reference.kind == "component":
                        self._plan.errors.append(fault(owner, reference, f"{path!r} is no Component"))

    def _find_circle(self, root: Kustomization) -> None:
        """Adds the error for a kustomization that leads back to itself."""
        done: set[str] = set()
        chain: list[str] = [root.directory]
        steps = [iter(self._edges.get(root.directory, {}))]
        while steps:
            step = next(steps[-1], None)
            if step is None:
                done.add(chain.pop())
                steps.pop()
            elif step in chain:
                owner, reference = self._edges[chain[-1]][step]
                circle = " -> ".join(item or "." for item in [*chain[chain.index(step) :], step])
                origin = owner.origin(reference.field)
                self._plan.errors.append(ManifestError(f"a circle of kustomizations: {circle}", origin=origin))
                return
            elif step not in done:
                chain.append(step)
                steps.append(iter(self._edges.get(step, {})))


def _bound(plan: Plan) -> None:
    files, size = (manifests.MAX_FILES, manifests.MAX_TOTAL_BYTES) if plan.separable else (MAX_FILES, MAX_BYTES)
    if len(plan.files) > files or plan.size > size:
        plan.errors.append(_too_much(plan.directory, files, size))


def _too_much(directory: str, files: int, size: int) -> ManifestError:
    message = f"one build may read {files:,} files of {size >> 20} MiB together; this one would read more"
    return ManifestError(message, origin=Origin(directory or "."), hint="build it in parts")
