"""The artifacts of one ArtifactGenerator: trees made of the trees of its sources."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from gitsync.api.generator import ArtifactGenerator, OutputArtifact
from gitsync.api.identity import CommitInfo, ObjectKey
from gitsync.errors import ArtifactError, CrossNamespaceRefused
from gitsync.sources.composition import Composition
from gitsync.sources.generator.assembling import Assembler
from gitsync.sources.generator.listing import Listing
from gitsync.sources.generator.pathpattern import check_captures, wanted
from gitsync.sources.resolve.treeartifact import TreeArtifact
from gitsync.sources.unpacking import Unpacker
from gitsync.treememory import TreeMemory

#: Digits of a digest that log lines show.
_SHOWN = 12
TreeOf = Callable[[ObjectKey], Awaitable[TreeArtifact]]


@dataclass(frozen=True)
class Generated:
    """What a generator has made: its artifacts by name. ``revisions`` are those of its sources, in their order;
    ``labels`` are those that an artifact gets by its directory."""

    revisions: tuple[str, ...] = ()
    artifacts: Mapping[str, TreeArtifact] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Making:
    """What artifacts are made with: ``tree_of`` has the trees of sources, ``memory`` keeps those of artifacts."""

    tree_of: TreeOf
    unpacker: Unpacker
    memory: TreeMemory = field(default_factory=TreeMemory.of_own_repository)


def check_generator(generator: ArtifactGenerator, *, is_shared: bool = True) -> None:
    """Check the spec of a generator. ``is_shared``: it may refer to sources of other namespaces. Pure.

    Raises: CrossNamespaceRefused, ArtifactError, for the first field that is wrong.
    """
    spec, own = generator.spec, generator.metadata.namespace
    aliases: set[str] = set()
    for number, source in enumerate(spec.sources):
        field_name = f"spec.sources[{number}]"
        if source.alias in aliases:
            raise ArtifactError(f"{field_name}.alias: there is another source with the alias {source.alias!r}")
        aliases.add(source.alias)
        if not is_shared and generator.source_key(source).namespace != own:
            raise CrossNamespaceRefused(
                f"{field_name}.namespace: cross-namespace references are not allowed: cannot access "
                f"{generator.source_key(source)}",
                hint="refer to a source of the ArtifactGenerator's own namespace",
            )
    _check_artifacts(generator, aliases)
    check_captures(spec)


def _check_artifacts(generator: ArtifactGenerator, aliases: set[str]) -> None:
    names: set[str] = set()
    for number, artifact in enumerate(generator.spec.artifacts):
        place = f"spec.artifacts[{number}]"
        if artifact.name in names:
            raise ArtifactError(f"{place}.name: there is another artifact with the name {artifact.name!r}")
        names.add(artifact.name)
        for name, reference in (("revision", artifact.revision), ("originRevision", artifact.origin_revision)):
            if reference is not None and reference[1:] not in aliases:
                raise ArtifactError(f"{place}.{name}: there is no source with the alias {reference[1:]!r}")


async def generated(
    generator: ArtifactGenerator, making: Making, before: Generated | None = None, *, is_shared: bool = True
) -> Generated:
    """The artifacts that a generator makes from the present trees of its sources. One that has not changed is the very
    object that it was ``before``.

    Raises: CrossNamespaceRefused, ArtifactError; NoRoom in ``memory``; what ``tree_of`` raises.
    """
    check_generator(generator, is_shared=is_shared)
    sources = {it.alias: await making.tree_of(generator.source_key(it)) for it in generator.spec.sources}
    listings = {alias: Listing(await source.tree.entries()) for alias, source in sources.items()}
    items = await asyncio.to_thread(wanted, generator.spec, listings)
    assembler = Assembler(generator.metadata.namespace, making.unpacker, making.memory)
    known = before.artifacts if before is not None else {}
    artifacts = {}
    for item in items:
        made = await _made(item.artifact, sources, assembler)
        old = known.get(item.artifact.name)
        artifacts[item.artifact.name] = old if old is not None and identity(old) == identity(made) else made
    revisions = tuple(source.revision for source in sources.values())
    return Generated(revisions, artifacts, {item.artifact.name: item.labels for item in items})


def identity(artifact: TreeArtifact) -> tuple[str, str]:
    """Identifies an artifact; not by its revision alone, since a HelmChart's is its version, whatever its content."""
    return artifact.revision, artifact.tree.revision


async def _made(artifact: OutputArtifact, sources: Mapping[str, TreeArtifact], assembler: Assembler) -> TreeArtifact:
    tree = await assembler.tree(artifact, {alias: source.tree for alias, source in sources.items()})
    digest = await tree.directory_digest()
    tree.revision = revision = f"latest@sha256:{digest}"
    if artifact.revision is not None:
        revision = sources[artifact.revision[1:]].revision
    commit = CommitInfo(str(digest), subject=f"artifact {artifact.name} {str(digest)[:_SHOWN]}")
    first = next(iter(sources.values()))
    if artifact.origin_revision is None:
        return TreeArtifact(revision, commit, first.url, tree)
    origin = sources[artifact.origin_revision[1:]]
    return TreeArtifact(revision, origin.commit, origin.url, tree, origin.origin or origin.revision)


async def as_artifact(source: TreeArtifact) -> TreeArtifact:
    """A synced repository as Flux would have it as an artifact: without what its .sourceignore files leave out.

    Raises: ArtifactError for patterns that cannot be read; what the tree raises.
    """
    composition = Composition(source.tree, await source.tree.entries())
    rules = await composition.rules(None)
    await asyncio.to_thread(composition.without, rules.ignored)
    return replace(source, tree=await asyncio.to_thread(composition.tree))
