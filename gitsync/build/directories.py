"""A directory of a tree as a sync reads it: directories with a kustomization.yaml are built, the rest is read file by
file."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from gitsync.api.identity import CommitInfo, Origin
from gitsync.build.builder import Builder
from gitsync.build.spec import BuildSpec
from gitsync.errors import ApiError, EncryptedError, GitsyncError, ManifestError, SopsUnavailable, ValuesMissing
from gitsync.manifests import Desired, FileContent, ManifestReader, Selection, assemble
from gitsync.runtime.together import finish_all
from gitsync.sops import Keys
from gitsync.tree import Tree

#: The keys for what is encrypted; None for none at all. Is given what can be read without keys, with the kinds and
#: names of what cannot: the Kustomization that names the keys is there. Raises: ValuesMissing, and what reading the
#: cluster raises.
KeysOf = Callable[[Desired], Awaitable[Keys | None]]
#: How the directory is built; None for one that is read as it is. Is given the same as KeysOf. Raises: ManifestError
#: where it is to be built in a way that is not possible.
SpecOf = Callable[[Desired], Awaitable[BuildSpec | None]]


async def as_it_is(_: Desired) -> None:
    """The SpecOf for a directory that is read as it is."""


@dataclass(frozen=True)
class Directories:
    """Reads a directory as Flux does one without a kustomization.yaml, with one difference: a file or a directory in it
    that is faulty does not keep the others from being applied."""

    reader: ManifestReader
    builder: Builder

    async def read(
        self,
        commit: CommitInfo,
        tree: Tree,
        path: str = "",
        keys_of: KeysOf | None = None,
        spec_of: SpecOf = as_it_is,
    ) -> Desired:
        """What a directory of a tree wants. One for which ``spec_of`` returns a spec is built as a whole, as that of
        any Kustomization: then one faulty file is an error for all.

        Raises: what ``tree.read`` raises; KustomizeUnavailable; ClusterUnavailable."""
        desired, built, merged = await self._read(commit, tree, path)
        is_closed = any(map(_is_encrypted, merged.errors))
        readable = await self._sealed(desired, built, merged) if is_closed else merged
        try:
            spec = await spec_of(readable)
            if spec is not None:
                return await self._shaped(commit, tree, spec, spec_of)
        except SopsUnavailable as error:
            return replace(_failed(desired, path, error), tree=tree)
        except ManifestError as error:
            return replace(desired, objects={}, errors=(error,))
        if keys_of is None or not is_closed:
            return merged
        try:
            keys = await keys_of(readable)
        except (ValuesMissing, ApiError) as error:
            return replace(merged, errors=tuple(_because(item, error) for item in merged.errors))
        return merged if keys is None else await self._opened(desired, built, keys)

    async def read_sealed(
        self, commit: CommitInfo, tree: Tree, path: str, is_decrypted: Callable[[Desired], Awaitable[bool]]
    ) -> Desired:
        """As ``read``, for commands that have no keys. Where ``is_decrypted``, given what can be read without them,
        says that the agent will decrypt the rest, objects that are encrypted are there by kind and name, and no errors.
        Raises: as ``read``."""
        desired, built, merged = await self._read(commit, tree, path)
        if not any(map(_is_encrypted, merged.errors)):
            return merged
        sealed = await self._sealed(desired, built, merged)
        if not await is_decrypted(sealed):
            return merged
        return sealed if sealed is not merged else await self._opened(desired, built, None)

    async def _read(self, commit: CommitInfo, tree: Tree, path: str) -> tuple[Desired, list[Desired], Desired]:
        """What the plain files of a directory want, what each directory in it that is built wants, and both merged."""
        desired = await self.reader.read(commit, await tree.entries(), tree.read, root=path)
        desired = replace(desired, tree=tree)
        builds = (self.builder.build(commit, tree, BuildSpec(directory)) for directory in desired.kustomized)
        built = await finish_all(builds)
        return desired, built, await asyncio.to_thread(_merged, desired, built) if built else desired

    async def _shaped(self, commit: CommitInfo, tree: Tree, spec: BuildSpec, spec_of: SpecOf) -> Desired:
        """Build the directory by ``spec``, and once more if the Kustomization that the spec came from is another one in
        the result (variables in it were replaced, say): Flux, too, goes on by the one that it has applied."""
        built = await self.builder.build(commit, tree, spec)
        again = await spec_of(built) if not built.errors else None
        if again is None or again.digest == spec.digest:
            return built
        return await self.builder.build(commit, tree, again)

    async def _sealed(self, desired: Desired, built: Sequence[Desired], merged: Desired) -> Desired:
        """``merged`` with the objects that can be read in directories that are not built because something in them is
        encrypted: the Kustomization that names the keys may be among them, as in a bootstrapped repository's
        ``flux-system``."""
        is_closed = any(_is_encrypted(error) for part in built for error in part.errors)
        return await self._opened(desired, built, None) if is_closed else merged

    async def _opened(self, desired: Desired, built: Sequence[Desired], keys: Keys | None) -> Desired:
        """What the directory wants with all that is encrypted decrypted by ``keys``, or, without keys, known by kind
        and name."""
        spec = BuildSpec(decrypts=True, keys=keys)
        known = zip(desired.kustomized, built, strict=True)
        built = await finish_all(self._again(desired, directory, part, spec) for directory, part in known)
        closed = sorted({error.origin.path for error in desired.errors if _is_encrypted(error)})
        files = await self._files(desired, closed, spec)
        opened = set(closed) - {error.origin.path for part in files for error in part.errors}
        rest = replace(
            desired,
            errors=tuple(error for error in desired.errors if not _is_encrypted(error)),
            objects={key: item for key, item in desired.objects.items() if item.origin.path not in opened},
        )
        return await asyncio.to_thread(_merged, rest, [*built, *files])

    async def _again(self, desired: Desired, directory: str, before: Desired, spec: BuildSpec) -> Desired:
        if desired.tree is None or not any(map(_is_encrypted, before.errors)):
            return before
        try:
            return await self.builder.build(desired.commit, desired.tree, replace(spec, path=directory))
        except SopsUnavailable as error:
            return _failed(desired, directory, error)

    async def _files(self, desired: Desired, paths: Sequence[str], spec: BuildSpec) -> list[Desired]:
        """The objects of files: built together, or, if that fails, each file by itself, so that a faulty one does not
        keep the others from being applied."""
        if desired.tree is None or not paths:
            return []
        try:
            built = await self.builder.build_files(desired.commit, desired.tree, frozenset(paths), spec)
        except SopsUnavailable as error:
            return [_failed(desired, path, error) for path in paths]
        if not built.errors or len(paths) == 1:
            return [built]
        singly = await finish_all(self._files(desired, [path], spec) for path in paths)
        return [part for parts in singly for part in parts]


def _is_encrypted(error: ManifestError) -> bool:
    return isinstance(error, EncryptedError)


def _because(error: ManifestError, why: GitsyncError) -> ManifestError:
    """The error for what is encrypted, with the reason why it cannot be decrypted."""
    if not _is_encrypted(error):
        return error
    return EncryptedError(f"encrypted with SOPS; {why.message}", origin=error.origin, key=error.key, hint=why.hint)


def _failed(desired: Desired, path: str, error: SopsUnavailable) -> Desired:
    """The error for one path that cannot be decrypted for now; the other files of the directory are applied."""
    problem = ManifestError(error.message, origin=Origin(path), hint=error.hint)
    return Desired(desired.commit, {}, (problem,))


def _merged(desired: Desired, built: Sequence[Desired]) -> Desired:
    """All parts as one. ``built`` begins with what was built of directories. An object that is in several parts is
    treated as one that is defined in several files."""
    parts = [desired, *built]
    contents = [FileContent(tuple(part.objects.values()), part.errors, part.warnings, part.unread) for part in parts]
    known = [directory for directory, part in zip(desired.kustomized, built, strict=False) if not part.errors]
    held = {path for path in desired.held if not _is_below(path, known)}
    merged = assemble(desired.commit, contents, Selection(held=held))
    return replace(merged, files=sum(part.files for part in parts), tree=desired.tree)


def _is_below(path: str, directories: Sequence[str]) -> bool:
    return any(not directory or path.startswith(f"{directory}/") for directory in directories)
