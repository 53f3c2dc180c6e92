"""The directory of a repository that a sync reads, as the GitRepository has it that its own Kustomization names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from gitsync.errors import ArtifactError
from gitsync.manifests import Desired
from gitsync.sources.git import Content
from gitsync.sources.git.compose import check_sourceignore, filtered_below, without_sourceignore
from gitsync.tree import Tree


async def read_directory(
    tree: Tree,
    directory: str,
    read: Callable[[Tree], Awaitable[Desired]],
    exclusions: Callable[[Desired], Awaitable[Content]],
) -> Desired:
    """What ``read`` makes of the tree without what the GitRepository excludes that stands in ``directory`` itself.
    ``exclusions`` finds that in what was read. Patterns that cannot be read exclude nothing here: the GitRepository's
    own reconciliation, or the check of it, reports them.

    Raises: GitRefused when .sourceignore leaves nothing of the directory, and that GitRepository does not say
    otherwise; what the two raise.
    """
    found = named = await read(tree)
    bare = await without_sourceignore(tree, directory) if not found.files else None
    if bare is not None:
        named = await read(bare)
    left = tree
    with suppress(ArtifactError):
        left = await filtered_below(tree, directory, await exclusions(named))
    if bare is not None:
        await check_sourceignore(left, directory)
    return found if left is tree else replace(await read(left), tree=tree)
