"""Builds directories of trees, and remembers what came out of them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakKeyDictionary

from gitsync.api.identity import CommitInfo, Origin
from gitsync.build.blame import blamed
from gitsync.build.files import Files, joined
from gitsync.build.follow import Plan, follow, plan_of
from gitsync.build.heads import Head
from gitsync.build.inputs import InputMemory, read_all
from gitsync.build.known import Known, ReadBlobs
from gitsync.build.limits import OBJECTS_WEIGHT, REMEMBERED_OBJECTS, REMEMBERED_OUTPUT
from gitsync.build.mounts import Mounts
from gitsync.build.objects import Built, objects_of
from gitsync.build.opening import Opened, Opening, is_encrypted_file, told
from gitsync.build.remote import Remotes
from gitsync.build.spec import BuildSpec
from gitsync.errors import EncryptedError, KustomizeError, ManifestError
from gitsync.kustomize import Kustomizer
from gitsync.manifests import (
    ENCRYPTED,
    LFS_POINTER,
    Desired,
    RulesReader,
    Selection,
    assemble,
    is_lfs_pointer,
)
from gitsync.runtime.cache import Cache
from gitsync.runtime.singleflight import SingleFlight
from gitsync.runtime.together import finish_all
from gitsync.sops import Sops
from gitsync.tree import Tree

#: Waits until the objects that come of so many bytes of files may take memory.
Admit = Callable[[int], Awaitable[None]]
_NEVER_HINT: Final = "Flux decrypts the files of secretGenerator and of patches, and whole objects"


@dataclass(frozen=True)
class _Made:
    """The output of kustomize (``text``), or its errors; ``heads`` are the documents of the files that it read,
    ``opened`` what was decrypted, None when nothing is to be."""

    text: str = ""
    heads: Mapping[str, tuple[Head, ...]] | None = None
    errors: tuple[ManifestError, ...] = ()
    opened: Opened | None = None

    @property
    def weight(self) -> int:
        """About how many bytes of memory this takes."""
        heads = (self.heads or {}).values()
        opened = self.opened.weight if self.opened is not None else 0
        return 1000 + opened + len(self.text) + sum(len(head.text) for items in heads for head in items)


class Builder:
    """Builds for any number of Kustomizations, a few at once. Results are remembered by all that a build reads: a
    commit that changes nothing of it runs no kustomize, nor does one that changes only variables.

    Kinds of our own that name no namespace get ``default_namespace``. ``sops`` decrypts, where a spec asks for it.
    ``remotes`` fetches remote bases; without, they are errors.
    """

    def __init__(
        self,
        kustomizer: Kustomizer,
        default_namespace: str = "default",
        sops: Sops | None = None,
        remotes: Remotes | None = None,
    ) -> None:
        self._kustomizer = kustomizer
        self._remotes = remotes
        self._sops = sops or Sops(places=kustomizer.places)
        self._default_namespace = default_namespace
        room = kustomizer.places.remembered
        self._known = Known(room)
        self._rules = RulesReader()
        self._files: WeakKeyDictionary[Tree, Files] = WeakKeyDictionary()
        self._listing = asyncio.Lock()
        self._inputs = InputMemory()
        self._made: Cache[_Made] = Cache(REMEMBERED_OUTPUT, room)
        self._built: Cache[Built] = Cache(REMEMBERED_OBJECTS, room)
        self._making: SingleFlight[_Made] = SingleFlight()

    async def build(self, commit: CommitInfo, tree: Tree, spec: BuildSpec, admit: Admit | None = None) -> Desired:
        """The objects of a directory of a tree; or the errors in what the user wrote, and then no objects. ``admit`` is
        awaited before anything large is done.

        Raises: what ``tree.read`` raises; KustomizeUnavailable and SopsUnavailable when a program cannot be run or
        takes too long.
        """
        files = Mounts(await self._files_of(tree), tree.read, self._remotes, spec.owner)
        plan = await follow(spec, files, self._known)
        if plan.errors:
            desired = _desired(commit, tree, plan, [Built(errors=tuple(plan.errors), is_unbuilt=True)])
        else:
            if admit is not None:
                await admit(sum(entry.size for entry in plan.files.values()))
            desired = await self._built_plan(commit, tree, files.read, plan, spec)
        if desired.errors:
            desired = replace(desired, made_of=await asyncio.to_thread(_made_of, plan, files))
        return desired

    async def _built_plan(
        self, commit: CommitInfo, tree: Tree, read: ReadBlobs, plan: Plan, spec: BuildSpec
    ) -> Desired:
        plans = await asyncio.to_thread(plan.parts)
        parts = await finish_all(self._build(part, read, spec) for part in plans)
        return await asyncio.to_thread(_desired, commit, tree, plan, parts)

    async def build_files(self, commit: CommitInfo, tree: Tree, paths: Collection[str], spec: BuildSpec) -> Desired:
        """The objects of some files, as ``build``; of ``spec``, only how they are decrypted counts."""
        files = [entry for entry in await tree.entries() if entry.path in paths]
        return await self._built_plan(commit, tree, tree.read, plan_of(files), spec)

    async def _build(self, plan: Plan, read: ReadBlobs, spec: BuildSpec) -> Built:
        digest = await asyncio.to_thread(plan.digest)
        if spec.decrypts:
            digest = f"{digest} {spec.keys.digest if spec.keys is not None else 'sealed'}"
        made = self._made.get(digest)
        if made is None:
            # Shared among builds of one owner only: another owner's run may have to wait much longer for its place.
            made = await self._making.run((spec.owner, digest), lambda: self._make(digest, plan, read, spec))
        if made.errors:
            return Built(errors=made.errors, is_unbuilt=True)
        key = f"{digest} {spec.digest}"
        built = self._built.get(key)
        if built is None:
            heads, opened = made.heads or {}, made.opened
            built = await asyncio.to_thread(objects_of, made.text, plan, heads, spec, self._default_namespace, opened)
            self._built.put(key, built, OBJECTS_WEIGHT * len(made.text) + 1000)
        return built

    async def _files_of(self, tree: Tree) -> Files:
        async with self._listing:  # a hundred Kustomizations ask about a new commit at once
            known = self._files.get(tree)
            if known is None:
                entries = await tree.entries()
                rules = await self._rules.read(entries, tree.read)
                known = self._files[tree] = await asyncio.to_thread(Files, entries, rules, tree.leaves_out)
            return known

    async def _make(self, digest: str, plan: Plan, read: ReadBlobs, spec: BuildSpec) -> _Made:
        size = sum({entry.blob_id: entry.size for entry in plan.files.values()}.values())
        async with self._inputs.held(spec.owner, size):
            return await self._make_with(digest, plan, read, spec)

    async def _make_with(self, digest: str, plan: Plan, read: ReadBlobs, spec: BuildSpec) -> _Made:
        blobs = await read_all(plan.files.values(), read)
        contents = {path: blobs[entry.blob_id] for path, entry in plan.files.items()}
        opening = Opening(self._sops, spec.keys, plan, spec.owner) if spec.keys is not None else None
        faults = [*_pointers(plan, contents), *_encrypted(plan, contents, plan.opens if spec.decrypts else ())]
        if faults:
            return _Made(errors=tuple(faults))
        files: dict[str, bytes] = {}
        if opening is not None:
            files, faults = await opening.files(contents)
        if not faults:
            made = await self._kustomized(contents, files, plan, read, spec.owner)
            if made.text and spec.decrypts:
                opened = await opening.objects(made.text, contents, files) if opening else Opened(sealed=True)
                made = replace(made, opened=opened)
        else:
            made = _Made(errors=tuple(faults))
        self._made.put(digest, made, made.weight)
        return made

    async def _kustomized(
        self, contents: Mapping[str, bytes], files: Mapping[str, bytes], plan: Plan, read: ReadBlobs, owner: str
    ) -> _Made:
        """``files`` are those of ``contents`` that were decrypted."""
        try:
            given: dict[str, str | bytes] = {**contents, **files, **plan.written}
            text = await self._kustomizer.build(given, plan.directory, owner, secret=bool(files))
        except KustomizeError as error:
            errors = await asyncio.to_thread(blamed, error, plan, {**contents, **files})
            return _Made(errors=tuple(told(error, files) for error in errors) if files else tuple(errors))
        return _Made(text, await self._heads(plan, read))

    async def _heads(self, plan: Plan, read: ReadBlobs) -> dict[str, tuple[Head, ...]]:
        """The documents of the files with objects, by the user's paths."""
        resources = [entry for path, entry in plan.files.items() if path not in plan.secret]
        found = await self._known.heads(resources, read)
        return {path: item for path, item in found.items() if not isinstance(item, ManifestError)}


def _made_of(plan: Plan, files: Mounts) -> str:
    """A digest of all that a failed build has read, and of all files in its directory and in those that it names: what
    it would have read after its error is not known."""
    named = {plan.directory}
    for kustomization in plan.kustomizations.values():
        paths = (joined(kustomization.directory, reference.text) for reference in kustomization.references())
        named.update(path for path in paths if path is not None)
    digest = hashlib.sha256(plan.digest().encode())
    for path in sorted(named):
        for entry in (files.file(path), *files.below(path)):
            if entry is not None:
                digest.update(f"{entry.path}\0{entry.blob_id}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _desired(commit: CommitInfo, tree: Tree, plan: Plan, parts: Sequence[Built]) -> Desired:
    errors = [error for part in parts for error in part.errors]
    contents = [content for part in parts for content in part.contents] if not errors else []
    desired = assemble(commit, contents, Selection(errors=errors, unread=list(plan.unread)))
    warnings = (*plan.warnings, *desired.warnings)
    files, is_unbuilt = len(plan.files) + len(plan.kustomizations), any(part.is_unbuilt for part in parts)
    weight = sum(part.weight for part in parts)
    return replace(desired, files=files, warnings=warnings, tree=tree, is_unbuilt=is_unbuilt, weight=weight)


def _pointers(plan: Plan, contents: Mapping[str, bytes]) -> list[ManifestError]:
    return [
        ManifestError(LFS_POINTER, origin=Origin(plan.place(path), 1), hint="commit the file itself")
        for path, data in contents.items()
        if is_lfs_pointer(data)
    ]


def _encrypted(plan: Plan, contents: Mapping[str, bytes], opens: Container[str]) -> list[EncryptedError]:
    """Files that would come into an object as they are, encrypted: those of generators and patches, but for ``opens``,
    which are decrypted."""
    return [
        EncryptedError(ENCRYPTED, origin=Origin(plan.place(path), 1), hint=f"it is read by {named}; {_NEVER_HINT}")
        for path, named in plan.secret.items()
        if path not in opens and is_encrypted_file(contents[path])
    ]
