"""The tree of an artifact: of a commit, its submodules and what it includes, without what is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import urljoin, urlsplit

from gitsync.errors import ArtifactError, ArtifactPathMissing, GitRefused
from gitsync.git import clean_path
from gitsync.sources.composition import Composition, is_ignore_file
from gitsync.sources.git.spec import Content, Include
from gitsync.tree import Tree, TreeEntry


async def composed(
    tree: Tree,
    content: Content,
    submodules: Mapping[str, Tree],
    included: Sequence[tuple[Include, Tree]],
    making: asyncio.Lock,
) -> Composition:
    """The files of an artifact: those of ``tree``, with ``submodules`` by their paths and what is ``included``. The
    lock ``making`` is held while lists of all files are made, since these may be long.

    Where ``content`` ignores anything, that has the last word: no .sourceignore stays that others could go by.

    Raises: ArtifactError; what the trees raise.
    """
    whole = Composition(tree, await tree.entries())
    for path, other in sorted(submodules.items()):
        async with making:
            await asyncio.to_thread(whole.mount, other, await other.entries(), "", path)
    if content.sparse:
        await _check_sparse(whole.tree(), content.sparse)
        inside = tuple(f"{path}/" if path else "" for path in map(clean_path, content.sparse))
        await asyncio.to_thread(whole.without, lambda path: not path.startswith(inside))
    for include, other in included:
        where = clean_path(include.to_path or include.name)
        cut = clean_path(include.from_path)
        async with making:
            await asyncio.to_thread(whole.mount, other, await _taken(other, cut, include), cut, where)
    rules = await whole.rules(content.ignore)
    await asyncio.to_thread(whole.without, rules.ignored)
    if content.ignore is not None:
        await asyncio.to_thread(whole.without, is_ignore_file)
    return whole


async def filtered(tree: Tree, content: Content) -> Tree:
    """A tree without what ``content`` leaves out. Raises: ArtifactError; what the tree raises."""
    return await asyncio.to_thread((await composed(tree, content, {}, [], asyncio.Lock())).tree, whole=tree)


async def filtered_below(tree: Tree, directory: str, content: Content) -> Tree:
    """The same, if that leaves anything else below ``directory`` than what .sourceignore does, else the very tree."""
    if content == Content():
        return tree
    left, whole = await filtered(tree, content), await tree.entries()
    overrules = content.ignore is not None and await asyncio.to_thread(lambda: any(map(is_ignore_file, whole.paths)))
    is_same = not overrules and len(whole.below(directory)) == len((await left.entries()).below(directory))
    return tree if is_same else left


async def without_sourceignore(tree: Tree, directory: str) -> Tree | None:
    """A tree without its .sourceignore files, if these leave nothing of ``directory``, else None.

    Flux reads such a directory when the GitRepository that it is read from says otherwise, which may be in it.
    """
    whole = Composition(tree, await tree.entries())
    await asyncio.to_thread(whole.without, is_ignore_file)
    bare = whole.tree()
    if len(await bare.entries()) == len(await tree.entries()) or not (await bare.entries()).below(directory):
        return None
    try:
        left = await filtered(tree, Content())
    except ArtifactError:  # which is said where the files are read
        return None
    return None if (await left.entries()).below(directory) else bare


async def check_sourceignore(left: Tree, directory: str) -> None:
    """Raises: GitRefused where nothing is left of a directory for which there is an ``without_sourceignore`` tree."""
    if not (await left.entries()).below(directory) or await without_sourceignore(left, directory) is not None:
        what = f"directory {directory!r}" if directory else "the repository"
        hint = "take it out of .sourceignore, or have spec.ignore of the GitRepository in it take it in"
        raise GitRefused(f".sourceignore leaves nothing of {what}", hint=hint)


async def _check_sparse(tree: Tree, directories: Sequence[str]) -> None:
    for directory in directories:
        try:
            await tree.entries(clean_path(directory))
        except ArtifactPathMissing as error:
            raise ArtifactError(f"sparseCheckout: {error.message}", hint="correct spec.sparseCheckout") from None


async def _taken(tree: Tree, path: str, include: Include) -> Sequence[TreeEntry]:
    file = await tree.file(path) if path else None
    if file is not None and not file.unreadable:
        return [file]
    try:
        return await tree.entries(path)
    except ArtifactPathMissing as error:
        message = f"include of GitRepository {include.name!r}: {error.message}"
        raise ArtifactError(message, hint="correct fromPath") from None


def submodule_url(parent: str, url: str) -> str:
    """The URL of a submodule, as git reads it: ``../other`` is counted from the URL of the repository it is in."""
    if not url.startswith(("./", "../")):
        return url
    base = parent.rstrip("/") + "/"
    scheme, separator, rest = base.partition("://")
    return f"{scheme}{separator}{urljoin(f'http://{rest}', url).removeprefix('http://')}".rstrip("/")


def same_site(one: str, other: str) -> bool:
    """Whether the credentials of one URL may be used for the other: transport, user, host and port are the same."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc.lower()) == (second.scheme, second.netloc.lower())
