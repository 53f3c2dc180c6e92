"""What a commit wants once its Kustomizations are built: those that take their files from the same repository."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from gitsync.api.generator import ArtifactGenerator
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.api.kustomization import Kustomization
from gitsync.api.names import BUCKET, EXTERNAL_ARTIFACT, GIT_REPOSITORY, OCI_REPOSITORY, WELL_KNOWN
from gitsync.build import Builder, BuildSpec, Directories
from gitsync.errors import ArtifactError, GitsyncError, ManifestError, SourceNotReady
from gitsync.manifests import Desired, DesiredObject, ManifestWarning
from gitsync.preview.composed import paths_in, placed
from gitsync.preview.said_once import NOT_CHECKED, SaidOnce, Why, not_here
from gitsync.release.wanted.comingsync import cluster_of
from gitsync.sources.commit import makers_in
from gitsync.sources.generator.circles import check_circle
from gitsync.sources.generator.generating import Generated, Making, as_artifact, check_generator, generated
from gitsync.sources.generator.listing import SPECIAL, literal_prefix
from gitsync.sources.git import Content
from gitsync.sources.git.compose import filtered
from gitsync.sources.resolve.gitartifact import exclusions
from gitsync.sources.resolve.owndirectory import read_directory
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.unpacking import Unpacker
from gitsync.sync.kustomization.coming import MAX_NESTING
from gitsync.sync.kustomization.inputs.building import as_applied_to, build_spec, shapes
from gitsync.text import counted
from gitsync.tree import Tree


@dataclass(frozen=True)
class WholeCommit:
    """Builds all that a commit's Kustomizations lead to; ``path`` is the directory that the commit was read from.
    ``brought_by`` says by which Kustomization an object comes, of those that do not come by the directory itself;
    ``unbuilt`` are those of which it is not known what they hold, and why. ``others`` are objects, with their
    Kustomizations, that another cluster has of the same name, by their own cluster (see ``cluster_by``).

    Nobody says what the URL of the repository is: a GitRepository counts as this one by the name that ``flux
    bootstrap`` gives it, where the commit declares no other of its name, and where the Kustomization's directory is
    here; an OCIRepository or a Bucket when all of that is so, as where Flux's operator has set up the cluster.
    """

    builder: Builder
    unpacker: Unpacker
    path: str = ""
    brought_by: dict[ObjectKey, ObjectKey] = field(default_factory=dict)
    unbuilt: dict[ObjectKey, str] = field(default_factory=dict)
    others: dict[tuple[str, ObjectKey], tuple[DesiredObject, ObjectKey]] = field(default_factory=dict)
    #: By Kustomization, where its objects go.
    _clusters: dict[ObjectKey, str] = field(default_factory=dict)
    _done: set[ObjectKey] = field(default_factory=set)
    _generated: dict[ObjectKey, Generated] = field(default_factory=dict)
    #: What GitRepositories leave of the repository.
    _filtered: dict[Content, Tree] = field(default_factory=dict)
    _filtering: asyncio.Lock = field(default_factory=asyncio.Lock)
    _said: SaidOnce = field(default_factory=SaidOnce)

    async def directory(self, directories: Directories, commit: CommitInfo, tree: Tree, *, has_keys: bool) -> Desired:
        """What the directory itself wants; ``has_keys``: the agent decrypts, whether a Kustomization asks or not.

        Raises: GitRefused when .sourceignore leaves nothing of it, and its own GitRepository does not say otherwise;
        what ``tree.read`` raises; KustomizeUnavailable."""

        async def read(files: Tree) -> Desired:
            return await self._directory(directories, commit, files, has_keys=has_keys)

        return await read_directory(tree, self.path, read, self._own_exclusions)

    async def _own_exclusions(self, desired: Desired) -> Content:
        """What is excluded by the GitRepository that the directory's own Kustomization names."""
        for model in (item.model for item in desired.objects.values()):
            if isinstance(model, Kustomization) and model.path == self.path and await _is_own(model, desired):
                return exclusions(desired.git_repositories.get(model.source))
        return Content()

    async def _directory(self, directories: Directories, commit: CommitInfo, tree: Tree, *, has_keys: bool) -> Desired:
        async def is_decrypted(desired: Desired) -> bool:
            models = (item.model for item in desired.objects.values())
            asking = [it for it in models if isinstance(it, Kustomization) and it.spec.decryption is not None]
            return has_keys or any([it.path == self.path and await _is_own(it, desired) for it in asking])

        found = await directories.read_sealed(commit, tree, self.path, is_decrypted)
        if (root := await self._shaping(found)) is not None:
            return replace(await self._shaped(root, found, commit, tree), tree=found.tree, files=found.files)
        sealed = [item for item in found.objects.values() if item.sops]
        if not sealed:
            return found
        warning = _warning(sealed[0], _not_opened(len(sealed), "the directory"))
        return replace(found, warnings=(*found.warnings, warning))

    async def spec_of(self, desired: Desired) -> BuildSpec | None:
        """How the directory itself is built, where its Kustomization asks for more than what is in it."""
        root = await self._shaping(desired)
        return self._spec(root, desired)[0] if root is not None else None

    async def _shaped(self, root: DesiredObject, found: Desired, commit: CommitInfo, tree: Tree) -> Desired:
        """The directory as its Kustomization has it built; by what comes of that, if it is another then."""
        built = await self._built_of(root, found, commit, tree)
        again = await self._shaping(built)
        if again is None or self._spec(again, built)[0] == self._spec(root, found)[0]:
            return built
        return await self._built_of(again, built, commit, tree)

    async def _shaping(self, desired: Desired) -> DesiredObject | None:
        for item in desired.objects.values():
            model = item.model
            is_meant = isinstance(model, Kustomization) and model.path == self.path and shapes(model)
            if isinstance(model, Kustomization) and is_meant and await _is_own(model, desired):
                return item
        return None

    async def read(self, desired: Desired) -> Desired:
        """The same with the objects of all of them. Of an object that several have the first counts, be it of another
        cluster. One that takes variables from what another brings, or whose source another brings, comes after that,
        wherever it stands."""
        while new := [item for item in desired.objects.values() if self._is_new(item)]:
            ready = await _ready(new, desired)
            self._done.update(item.key for item in ready)
            found = await asyncio.gather(*(self._built(item, desired) for item in ready))
            for item, built in zip(ready, found, strict=True):
                desired = self._with(desired, item, built)
        return replace(desired, warnings=(*desired.warnings, *self._said.warnings(desired.objects)))

    def _is_new(self, item: DesiredObject) -> bool:
        if item.key in self._done or not _is_kustomization(item):
            return False
        above, depth = self.brought_by.get(item.key), 0
        while above is not None and depth < MAX_NESTING:
            above, depth = self.brought_by.get(above), depth + 1
        return depth < MAX_NESTING

    def cluster_by(self, kustomization: ObjectKey | None) -> str:
        """Names the cluster of what comes by a Kustomization, None for the directory itself; "" is the one that the
        directory is for."""
        return self._clusters.get(kustomization, "") if kustomization is not None else ""

    def why_no_releases(self, desired: Desired) -> str:
        """Why there is no HelmRelease although there are Kustomizations, in words; "" when there is one, or none of
        either."""
        return why_no_releases(desired, sum(map(_is_kustomization, desired.objects.values())), self.unbuilt)

    async def _built(self, item: DesiredObject, desired: Desired) -> Desired | None:
        """What one comes to; None for what was read already. What keeps it from being built is a warning, and what is
        wrong where not all variables are known may be right with them."""
        assert isinstance(item.model, Kustomization)
        kustomization = item.model
        nothing = Desired(desired.commit, {})
        if kustomization.source.kind == EXTERNAL_ARTIFACT:
            return await self._built_of_artifact(item, desired)
        is_own = await _is_own(kustomization, desired)
        if kustomization.path == self.path and is_own:
            return None
        if not is_own or desired.tree is None:
            self.unbuilt[item.key] = not_here(kustomization.source)
            self._said.reads_elsewhere(item, kustomization.source)
            return nothing
        if kustomization.source.kind == GIT_REPOSITORY and _lacks_source(item, desired):
            self._said.takes_as_own(item, kustomization.source)
        try:
            tree = await self._filtered_tree(kustomization.source, desired, desired.tree)
        except ArtifactError as error:
            self.unbuilt[item.key] = why = f"{kustomization.source}: {error.message}"
            origin = item.field_origin(("spec", "sourceRef"))
            return replace(nothing, errors=(ManifestError(why, origin=origin, key=item.key, hint=error.hint),))
        return await self._built_of(item, desired, desired.commit, tree)

    async def _filtered_tree(self, source: ObjectKey, desired: Desired, tree: Tree) -> Tree:
        """The repository's ``tree`` as a GitRepository that counts as this one has it, which may leave files out.

        Raises: ArtifactError for patterns that cannot be read.
        """
        content = exclusions(desired.git_repositories.get(source))
        if content == Content():
            return tree
        async with self._filtering:
            if content not in self._filtered:
                self._filtered[content] = await filtered(tree, content)
            return self._filtered[content]

    async def _built_of_artifact(self, item: DesiredObject, desired: Desired) -> Desired:
        """The same of an ExternalArtifact that an ArtifactGenerator of the commit makes of this repository."""
        assert isinstance(item.model, Kustomization)
        source, nothing = item.model.source, Desired(desired.commit, {})
        try:
            found = await self._artifact(source, desired)
        except SourceNotReady as error:
            self.unbuilt[item.key] = f"{source}: {error.message}"
            return replace(nothing, warnings=(_warning(item, f"{source}: {error.message}: {NOT_CHECKED}"),))
        except GitsyncError as error:
            self.unbuilt[item.key] = f"{source}: {error.message}"
            origin = item.field_origin(("spec", "sourceRef"))
            wrong = ManifestError(f"{source}: {error.message}", origin=origin, key=item.key, hint=error.hint)
            return replace(nothing, errors=(wrong,))
        if found is None:
            why = f"{source} is made by no ArtifactGenerator of this repository: {NOT_CHECKED}"
            self.unbuilt[item.key] = why
            return replace(nothing, warnings=(_warning(item, why),))
        built = await self._built_of(item, desired, found.commit, found.tree)
        if desired.tree is None:
            return built
        here, there = await desired.tree.entries(), await found.tree.entries()
        return placed(built, await asyncio.to_thread(paths_in, here, there))

    async def _artifact(self, source: ObjectKey, desired: Desired) -> TreeArtifact | None:
        """An ExternalArtifact; None for one that no ArtifactGenerator of the commit makes. Raises: as ``_made``."""
        for maker in makers_in(desired, source):
            made = await self._made(maker, desired)
            if source.name in made:
                return made[source.name]
        return None

    async def _made(self, generator: ArtifactGenerator, desired: Desired) -> Mapping[str, TreeArtifact]:
        """The artifacts of a generator, by name. Raises: GitsyncError; SourceNotReady for what is said elsewhere."""
        if why := _why_not_made(generator, desired):
            raise SourceNotReady(why)
        if generator.key not in self._generated:

            async def tree_of(source: ObjectKey) -> TreeArtifact:
                if source.kind == EXTERNAL_ARTIFACT and (made := await self._artifact(source, desired)) is not None:
                    return made
                if desired.tree is None or not await _is_copied_here(generator, source, desired):
                    raise SourceNotReady(f"it is made of {source}, which is not this repository")
                tree = await self._filtered_tree(source, desired, desired.tree)
                found = TreeArtifact(desired.commit.id, desired.commit, "", tree)
                return await as_artifact(found) if tree is desired.tree else found

            self._generated[generator.key] = await generated(generator, Making(tree_of, self.unpacker))
        return self._generated[generator.key].artifacts

    async def _built_of(self, item: DesiredObject, desired: Desired, commit: CommitInfo, tree: Tree) -> Desired:
        assert isinstance(item.model, Kustomization)
        kustomization = item.model
        spec, unknown = self._spec(item, desired)
        built = as_applied_to(kustomization, await self.builder.build(commit, tree, spec))
        if sealed := sum(bool(found.sops) for found in built.objects.values()):
            built = replace(built, warnings=(*built.warnings, _warning(item, _not_opened(sealed, "it"))))
        if built.errors:
            self.unbuilt[item.key] = f"{built.errors[0].origin}: {built.errors[0].message}"
        if not unknown or built.is_unbuilt:
            return replace(built, errors=tuple(named(item, error) for error in built.errors))
        self._said.lacks_variables(item, unknown[0], _why_unknown(unknown[0], desired))
        certain = tuple(named(item, error) for error in built.errors if error.is_certain)
        doubtful = (_doubtful(error, unknown[0]) for error in built.errors if not error.is_certain)
        return replace(built, errors=certain, warnings=(*built.warnings, *doubtful))

    @staticmethod
    def _spec(item: DesiredObject, desired: Desired) -> tuple[BuildSpec, list[ObjectKey]]:
        """How one is built by what the commit has, and which of the objects it does not have that variables are in."""
        assert isinstance(item.model, Kustomization)
        variables, unknown = _variables(item.model, desired)
        spec = build_spec(item.model, variables)
        return (replace(spec, strict_substitution=False, always_substitute=True) if unknown else spec), unknown

    def _with(self, desired: Desired, item: DesiredObject, built: Desired | None) -> Desired:
        if built is None:
            return desired
        assert isinstance(item.model, Kustomization)
        self._clusters[item.key] = cluster = cluster_of(item.model)
        for key, found in built.objects.items():
            if key not in desired.objects:
                self.brought_by[key] = item.key
            elif self.cluster_by(self.brought_by.get(key)) != cluster:
                self.others.setdefault((cluster, key), (found, item.key))
            else:
                self._said.has_too(item, key, self.brought_by.get(key))
        return replace(
            desired,
            objects={**built.objects, **desired.objects},
            errors=(*desired.errors, *built.errors),
            warnings=(*desired.warnings, *built.warnings),
            files=desired.files + built.files,
            unread=(*desired.unread, *built.unread),
        )


def why_no_releases(desired: Desired, kustomizations: int, unknown: Mapping[ObjectKey, str]) -> str:
    """Why there is no HelmRelease in ``desired`` although there are so many Kustomizations, in words; "" when there is
    one, or no Kustomization. ``unknown`` are those of which it is not known what they hold, and why. Pure."""
    if desired.helm_releases or not kustomizations:
        return ""
    if not unknown:
        verb = "brings" if kustomizations == 1 else "bring"
        return f"no HelmRelease: {counted(kustomizations, 'Kustomization')} {verb} none"
    key, why = next(iter(unknown.items()))
    more = f"; and {len(unknown) - 1} more" if len(unknown) > 1 else ""
    number = f"{len(unknown)} of {counted(kustomizations, 'Kustomization')}"
    return f"no HelmRelease: what is in {number} is not known ({key.namespaced_name}: {why}{more})"


def _variables(kustomization: Kustomization, desired: Desired) -> tuple[dict[str, str] | None, list[ObjectKey]]:
    """The variables, as far as the commit has them, and the objects that it does not have."""
    post_build = kustomization.spec.post_build
    if post_build is None:
        return None, []
    found: dict[str, str] = {}
    unknown = []
    for key in kustomization.value_sources():
        item = desired.objects.get(key)
        if item is None or key.kind != "ConfigMap":
            unknown.append(key)
        else:
            found |= {name: str(value) for name, value in (item.manifest.get("data") or {}).items()}
    return found | post_build.substitute, unknown


async def _ready(new: list[DesiredObject], desired: Desired) -> list[DesiredObject]:
    """Those that may be built by what is known by now. When all wait for what nobody has brought so far, those that
    read a directory of this repository are likelier to bring it."""
    known = [item for item in new if not _lacks_variables(item, desired)]
    if ready := [item for item in known if not _lacks_source(item, desired)]:
        return ready
    here = [item for item in new if await _has_directory(item, desired)]
    return [item for item in here if item in known] or here[:1] or known[:1] or new[:1]


def _lacks_variables(item: DesiredObject, desired: Desired) -> bool:
    return isinstance(item.model, Kustomization) and bool(_variables(item.model, desired)[1])


def _lacks_source(item: DesiredObject, desired: Desired) -> bool:
    """Whether another Kustomization may yet bring the source of one, and it be another repository than this."""
    assert isinstance(item.model, Kustomization)
    return item.model.source.name != WELL_KNOWN and item.model.source not in desired.objects


async def _has_directory(item: DesiredObject, desired: Desired) -> bool:
    assert isinstance(item.model, Kustomization)
    return desired.tree is not None and await desired.tree.directory_digest(item.model.path) is not None


def _is_kustomization(item: DesiredObject) -> bool:
    return isinstance(item.model, Kustomization)


def _why_unknown(key: ObjectKey, desired: Desired) -> Why:
    """Why the variables in an object are not known."""
    if (found := desired.objects.get(key)) is None:
        return "missing"
    return "encrypted" if found.sops else "secret"


def _not_opened(sealed: int, where: str) -> str:
    return f"{counted(sealed, 'object')} in {where} encrypted with SOPS: only kinds and names are checked"


def _warning(item: DesiredObject, message: str) -> ManifestWarning:
    return ManifestWarning(item.origin, item.key, message)


def _doubtful(error: ManifestError, variables: ObjectKey) -> ManifestWarning:
    """What is wrong where variables are put in that are not known, and were taken to be empty."""
    doubt = f"it may be right with the variables of {variables}, which are not known here"
    return ManifestWarning(error.origin, error.key, error.message, f"{error.hint}; {doubt}" if error.hint else doubt)


def named(item: DesiredObject, error: ManifestError) -> ManifestError:
    """An error of a build says by which Kustomization, as far as it does not say which object; for a directory that is
    not there it is the field that is wrong."""
    if error.key is not None:
        return error
    if error.origin.line:
        return ManifestError(error.message, origin=error.origin, key=item.key, hint=error.hint)
    message = f"{error.origin}: {error.message}"
    return ManifestError(message, origin=item.field_origin(("spec", "path")), key=item.key, hint=error.hint)


async def _is_own(kustomization: Kustomization, desired: Desired) -> bool:
    source = kustomization.source
    if desired.tree is None:
        return False
    if source.kind in (OCI_REPOSITORY, BUCKET):  # to which a pipeline writes what is here
        is_set_up = source.name == WELL_KNOWN and source not in desired.objects
        return is_set_up and await desired.tree.directory_digest(kustomization.path) is not None
    if source.kind != GIT_REPOSITORY:
        return False
    if source.name == WELL_KNOWN or source not in desired.objects:
        return True
    return bool(kustomization.path) and await desired.tree.directory_digest(kustomization.path) is not None


def _why_not_made(generator: ArtifactGenerator, desired: Desired) -> str:
    """What is wrong with a generator itself, which ``unserved`` names where it is written."""
    try:
        check_generator(generator)
        check_circle(generator, partial(makers_in, desired))
    except GitsyncError as error:
        return error.message
    return ""


async def _is_copied_here(generator: ArtifactGenerator, source: ObjectKey, desired: Desired) -> bool:
    """Whether a source of a generator is this repository: as of a Kustomization, by the directories that are copied."""
    is_declared = source in desired.objects
    if desired.tree is None or source.kind not in (GIT_REPOSITORY, OCI_REPOSITORY, BUCKET):
        return False
    if source.kind == GIT_REPOSITORY and (source.name == WELL_KNOWN or not is_declared):
        return True
    if source.kind != GIT_REPOSITORY and (source.name != WELL_KNOWN or is_declared):
        return False
    aliases = {it.alias for it in generator.spec.sources if generator.source_key(it) == source}
    for operation in (it for artifact in generator.spec.artifacts for it in artifact.copy_):
        alias, _, pattern = operation.source[1:].partition("/")
        path = literal_prefix(pattern, SPECIAL | {"{"})  # where a capture may be, no directory is called so
        if alias in aliases and path and await desired.tree.directory_digest(path) is not None:
            return True
    return False
